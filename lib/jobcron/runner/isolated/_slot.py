"""A child process and the job that it has: what it printed and said, and whether it has exceeded a limit."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Iterator
from typing import TypeVar

from jobcron.errors import MemoryLimitExceeded, OutputLimitExceeded, ProcessDied, TimeLimitExceeded
from jobcron.queue.views import ProcessLimits
from jobcron.runner.attempt import Attempt
from jobcron.runner.failure import CLEAN_UP_SECONDS
from jobcron.runner.isolated._child import Child, Watched
from jobcron.runner.isolated._log_records import record_of
from jobcron.runner.isolated._memory import memory_of
from jobcron.runner.isolated._messages import BadMessage, Message

START_SECONDS = 120.0
"""How long a child may take to import the application, and then to begin with a job."""

KILL_SECONDS = 5.0
"""How long a child that was told to stop has for its job's cleaning up before it is killed."""

END_SECONDS = 5.0
"""How long a child without a job may take to leave."""

MEMORY_SLACK = 16 * 1024 * 1024
"""A single process, whose stack does not count in its own limit, is to meet that, and MemoryError, first."""

SHOWN_LINES = 100
"""How many lines that a job prints go to the log."""


Error = TypeVar("Error", bound=BaseException)


class Slot:
    """A child process, with at most one job.

    Args:
        order: see `jobcron.runner.isolated._program`.
        logger: of the script; it gets what the child logs, and the first lines of what is printed.

    Attributes:
        attempt: at the job that the child has, or None.
        is_ready: whether the child has imported the application, and hears signals.
        has_begun: whether it has begun with the job.
        has_worked: whether it has begun with any.
        is_over: whether the job's ``run`` has ended, as the child says.
        is_winding_up: whether the job's row has ended as well, and the child does what follows that.
    """

    def __init__(self, order: Message, logger: logging.Logger) -> None:
        self._child = Child(order)
        self._logger = logger
        self.attempt: Attempt | None = None
        self.is_ready = False
        self.has_begun = False
        self.has_worked = False
        self.is_over = False
        self.is_winding_up = False
        self._is_cleaning_up = False
        self._limited_from: float | None = None
        self._time_limit: float | None = None
        self._to_send: signal.Signals | None = None
        self._end_by: float | None = self._start_by()
        self._is_leaving = False
        self._limits = ProcessLimits(None, None, math.inf)
        self._shown = 0
        self._line = b""

    @property
    def watched(self) -> list[Watched]:
        """What becomes readable when there is something to attend to."""
        return self._child.watched

    @property
    def is_free(self) -> bool:
        """Whether it can be given a job."""
        return self.attempt is None and not self._is_leaving

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._child.status() is not None

    def hand(self, attempt: Attempt, limits: ProcessLimits) -> None:
        """Let the child run a job."""
        self._limits = limits
        self.attempt, self.has_begun, self._shown = attempt, False, 0
        self.is_over = self.is_winding_up = self._is_cleaning_up = False
        self._limited_from, self._time_limit = None, attempt.clock.time_limit
        self._end_by = self._start_by()
        self._child.hand(*attempt.claim)

    def messages(self) -> Iterator[Message]:
        """Yield what the child says of its jobs; what it logs goes to the log, and so does what is printed.

        Raises:
            BadMessage: it said something else.
        """
        self._read_output()
        for message in self._child.messages():
            match message["kind"]:
                case "log":
                    self._logger.handle(record_of(message))
                case "ready":
                    self.is_ready = True
                    self._end_by = self._start_by() if self.attempt is not None else None
                    if self._to_send is not None:
                        self.signal(self._to_send)
                case "started":
                    if self.has_begun:
                        raise BadMessage("expected a job to start once, got that it has started again")
                    self.has_begun = self.has_worked = True
                    self._end_by = None
                    if self.attempt is not None:
                        self._limited_from = self.attempt.clock.restart()
                case "over":
                    self._note_the_end(message["cleans_up"])
                case _:
                    yield message

    def is_done(self, *, failed: bool) -> None:
        """Note that the job has ended, and been written; a child whose job failed leaves."""
        attempt, self.attempt = self.attempt, None
        self._end_by = None
        left = self._child.started()
        if left and attempt is not None:
            self._logger.warning("%s left %s processes behind, which are killed.", attempt.name, len(left))
            self._child.kill(left)  # now: once the child has left, they are harder to find
        if failed or left:
            self.let_go()

    def forget_job(self) -> None:
        """Note that nobody knows what became of the job."""
        self.attempt = None

    def wind_up(self) -> None:
        """Let the child do what follows its job's end, which is written: actions after the commit, mail."""
        self.is_winding_up, self._time_limit = True, None
        self._end_by = time.monotonic() + CLEAN_UP_SECONDS

    def _note_the_end(self, cleans_up: bool) -> None:
        """Note that ``run`` has ended; cleaning up after a failure has a time limit of its own, once."""
        if self.attempt is None or not self.has_begun:
            return
        self.is_over = True
        if cleans_up and not self._is_cleaning_up:
            self._is_cleaning_up, self._limited_from = True, time.monotonic()
            self._time_limit = self.attempt.clock.time_limit or CLEAN_UP_SECONDS

    def let_go(self) -> None:
        """Tell the child that there is nothing more to do."""
        self._is_leaving = True
        self._end_by = time.monotonic() + END_SECONDS
        self._child.hang_up()

    def exceeded(self, now: float) -> BaseException | None:
        """Return the error of the limit that is exceeded, or None."""
        if self._end_by is not None and now >= self._end_by:
            return ProcessDied("it did not do so in time")  # to begin, to leave, or to do what follows a job's end
        attempt = self.attempt
        if attempt is None or not self.has_begun:
            return None
        limit, begun = self._time_limit, self._limited_from
        if limit is not None and begun is not None and now >= begun + limit + KILL_SECONDS:
            text = f"the job ran longer than {limit:g} seconds, and its process was killed"
            return self._with_output(TimeLimitExceeded(text))
        if self._child.printed > self._limits.output:
            text = f"the job printed more than {self._limits.output} bytes, and its process was killed"
            return self._with_output(OutputLimitExceeded(text))
        if self._limits.memory is not None:
            memory = memory_of([self._child.number, *self._child.started()], self._limits.memory)
            if memory > self._limits.memory + MEMORY_SLACK:
                text = f"the job's processes had {memory} bytes in memory, more than {self._limits.memory}"
                return self._with_output(MemoryLimitExceeded(f"{text}, and were killed"))
        return None

    def cause_of_death(self) -> ProcessDied:
        """Return the error that says how the process ended by itself."""
        status = self._child.status() or 0
        if status >= 0:
            return self._with_output(
                ProcessDied(f"the job's process left with status {status} in the middle of it")
            )
        number = signal.Signals(-status)
        perhaps = ", perhaps by the kernel because memory had run out" if number is signal.SIGKILL else ""
        return self._with_output(ProcessDied(f"the job's process was killed by {number.name}{perhaps}"))

    def misunderstood(self, error: BadMessage) -> ProcessDied:
        """Return the error that says that the process said what it should not have said."""
        return self._with_output(ProcessDied(f"the job's process was killed for what it told its parent: {error}"))

    def said(self, error: BaseException) -> str:
        """Return an error's message with the last of what was printed."""
        return f"{error}\n{self._child.last_words()}".strip()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child; one that is still importing, and would die by it, gets it after that.

        It is told first, so that it knows ours from those that its job sends.
        """
        self._to_send = number
        if self.is_ready:
            self._child.send({"stop": True})
            self._child.signal(number)

    def end(self) -> None:
        """Kill the child and all that it has started."""
        self._child.end()

    @staticmethod
    def _start_by() -> float:
        return time.monotonic() + START_SECONDS

    def _with_output(self, error: Error) -> Error:
        if last_words := self._child.last_words():
            error.add_note(f"The last words of the process:\n{last_words}")
        return error

    def _read_output(self) -> None:
        while chunk := self._child.read_output():
            *lines, self._line = (self._line + chunk).split(b"\n")
            for line in lines[: max(0, SHOWN_LINES - self._shown)]:
                self._logger.info("FROM %s: %s", self._child.number, line[:2000].decode("utf-8", "replace"))
            self._shown += len(lines)
            self._line = self._line[-2000:]
            if self._child.printed > self._limits.output:
                return
