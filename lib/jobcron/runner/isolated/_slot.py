"""A child process and its job: its messages, its output, and its limits."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Iterator
from typing import TypeVar

from jobcron.errors import MemoryLimitExceeded, OutputLimitExceeded, ProcessDied, TimeLimitExceeded
from jobcron.queue.views import ProcessLimits
from jobcron.reports.plurals import counted
from jobcron.runner.attempt import Attempt
from jobcron.runner.failure import CLEAN_UP_SECONDS
from jobcron.runner.isolated._child import Child, Watched
from jobcron.runner.isolated._log_records import record_of
from jobcron.runner.isolated._memory import memory_of
from jobcron.runner.isolated._messages import BadMessage, Message

START_SECONDS = 120.0
"""Seconds that a child may take to import the application, and then to begin a job."""

KILL_SECONDS = 5.0
"""Seconds that a stopped child has for its job's clean-up before it is killed."""

END_SECONDS = 5.0
"""Seconds that a child without a job may take to exit."""

MEMORY_SLACK = 16 * 1024 * 1024
"""Added to the limit, so that a single process, whose stack its own limit omits, gets MemoryError first."""

SHOWN_LINES = 100
"""How many lines of a job's output go to the log."""


Error = TypeVar("Error", bound=BaseException)


class Slot:
    """A child process, with at most one job.

    Args:
        order: see `jobcron.runner.isolated._program`.
        logger: the script's logger; it gets the child's log records, and the first lines of its output.
        lock: see `Child`.

    Attributes:
        attempt: the attempt at the child's job, or None.
        is_ready: whether the child has imported the application, and receives signals.
        has_begun: whether the child has begun its job.
        has_worked: whether the child has begun any job.
        is_over: whether the job's ``run`` has ended, according to the child.
        is_winding_up: whether the job's row has ended as well, and the child is finishing up.
    """

    def __init__(self, order: Message, logger: logging.Logger, lock: int | None) -> None:
        self._child = Child(order, lock)
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
        """The objects that become readable when something needs attention."""
        return self._child.watched

    @property
    def is_free(self) -> bool:
        """Whether the child can take a job."""
        return self.attempt is None and not self._is_leaving

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._child.status() is not None

    def hand(self, attempt: Attempt, limits: ProcessLimits) -> None:
        """Give the child a job to run: at once if it is ready, else when `begin` is called."""
        self._limits = limits
        self.attempt, self.has_begun, self._shown = attempt, False, 0
        self.is_over = self.is_winding_up = self._is_cleaning_up = False
        self._limited_from, self._time_limit = None, attempt.clock.time_limit
        self._end_by = self._start_by()
        if self.is_ready:
            self.begin()

    def begin(self) -> None:
        """Tell the child to run its job."""
        if self.attempt is not None:
            claim = self.attempt.claim
            self._child.hand(claim.id, claim.token, claim.taken)

    def messages(self) -> Iterator[Message]:
        """Yield the child's messages about its jobs; log its log records and its output.

        Raises:
            BadMessage: the child sent something else.
        """
        self._read_output()
        for message in self._child.messages():
            match message["kind"]:
                case "log":
                    self._logger.handle(record_of(message))
                case "ready":
                    if self.is_ready:
                        raise BadMessage("expected to hear once that it is ready, got it again")
                    self.is_ready = True
                    self._end_by = self._start_by() if self.attempt is not None else None
                    if self._to_send is not None:
                        self.signal(self._to_send)
                    yield message
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
        """Record that the job has ended and its outcome is written; a child whose job failed exits."""
        attempt, self.attempt = self.attempt, None
        self._end_by = None
        left = self._child.started()
        if left and attempt is not None:
            self._logger.warning("%s left %s behind: killed now.", attempt.name, counted(len(left), "process"))
            self._child.kill(left)  # now: once the child has exited, they are harder to find
        if failed or left:
            self.let_go()

    def forget_job(self) -> None:
        """Forget the job: its outcome is unknown, or this run has lost it."""
        self.attempt = self._end_by = None

    def wind_up(self) -> None:
        """Give the child time to finish after its job's written end: actions after the commit, mail."""
        self.is_winding_up, self._time_limit = True, None
        self._end_by = time.monotonic() + CLEAN_UP_SECONDS

    def _note_the_end(self, cleans_up: bool) -> None:
        """Record that ``run`` has ended; start the clean-up's own time limit, once, after a failure."""
        if self.attempt is None or not self.has_begun:
            return
        self.is_over = True
        if cleans_up and not self._is_cleaning_up:
            self._is_cleaning_up, self._limited_from = True, time.monotonic()
            self._time_limit = self.attempt.clock.time_limit or CLEAN_UP_SECONDS

    def let_go(self) -> None:
        """Tell the child to exit."""
        self._is_leaving = True
        self._end_by = time.monotonic() + END_SECONDS
        self._child.hang_up()

    def exceeded(self, now: float) -> BaseException | None:
        """Return an error for the exceeded limit, or None."""
        if self._end_by is not None and now >= self._end_by:
            return ProcessDied("it did not do so in time")  # begin, exit, or finish up after a job's end
        attempt = self.attempt
        if attempt is None or not self.has_begun:
            return None
        limit, begun = self._time_limit, self._limited_from
        if limit is not None and begun is not None and now >= begun + limit + KILL_SECONDS:
            text = f"the job ran longer than {counted(limit, 'second')}, and its process was killed"
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
        """Return an error that says how the process ended on its own."""
        status = self._child.status() or 0
        if status >= 0:
            return self._with_output(
                ProcessDied(f"the job's process left with status {status} in the middle of it")
            )
        number = signal.Signals(-status)
        perhaps = ", perhaps by the kernel because memory had run out" if number is signal.SIGKILL else ""
        return self._with_output(ProcessDied(f"the job's process was killed by {number.name}{perhaps}"))

    def misunderstood(self, error: BadMessage) -> ProcessDied:
        """Return an error that says that the process sent an invalid message."""
        return self._with_output(ProcessDied(f"the job's process was killed for what it told its parent: {error}"))

    def said(self, error: BaseException) -> str:
        """Return an error's message, followed by the end of the child's output."""
        return f"{error}\n{self._child.last_words()}".strip()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child; delay it while the child is importing, when a signal would kill it.

        A message comes first, so that the child can tell our signals from those of its job.
        """
        self._to_send = number
        if self.is_ready:
            self._child.send({"stop": True})
            self._child.signal(number)

    def end(self) -> None:
        """Kill the child and all processes that it has started."""
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
