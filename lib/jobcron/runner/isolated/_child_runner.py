"""The runner inside a child process: it runs what its parent hands it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from jobcron.jobs.lease import Claim, lost
from jobcron.queue.feed import Feed
from jobcron.queue.loading import Claimed, load_claimed, unloadable
from jobcron.queue.outcome import Outcome
from jobcron.reports.metric_events import JobEnded, JobStarted
from jobcron.reports.metrics import Event, Observer
from jobcron.runner._context import Workplace
from jobcron.runner._executor import Executor
from jobcron.runner._failure import cleans_up
from jobcron.runner.attempt import Attempt
from jobcron.runner.isolated._line import Line
from jobcron.runner.isolated._memory import memory_limited
from jobcron.runner.job_runner import JobRunner

CUT_OFF_STATUS = 70
"""With which a process leaves that cannot talk to its parent any more."""


class HandedFeed:
    """The jobs that the parent hands over, each claimed already.

    Args:
        line: to the parent.
        runner: whose counts say what became of the job before.
    """

    def __init__(self, line: Line, runner: ChildRunner) -> None:
        self.line = line
        self._runner = runner
        self._pending: Claim | None = None
        self._last: int | None = None
        self._ended: JobEnded | None = None

    def took(self, seconds: float) -> None:
        """Learn nothing: the parent claims."""

    def forget(self) -> None:
        """Hold nothing."""

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """See `Feed`: say what became of the last job, and wait for the next."""
        if self._pending is None:
            self.tell_done()
            message = None if self._runner.incomplete.total() else self.line.hear()
            if message is None or "run" not in message:
                return []
            self._pending = Claim(*message["run"])
        session.expunge_all()
        entry = load_claimed(self._runner.source_view, session, self._pending)
        row = entry.job.row
        if row is not None and row.lease_token != self._pending.token:
            entry = unloadable(self._pending, lost(self._pending))  # while this process was being started
        session.commit()
        self._last, self._pending = entry.claim.id, None
        self.line.say("started")
        return [entry]

    def note(self, event: Event) -> None:
        """Say that a job is run; keep how it ended until that is said with all else that is known of it."""
        match event:
            case JobStarted():
                self.line.say("running")
            case JobEnded():
                self._ended = event

    def tell_done(self) -> None:
        """Tell the parent what became of the job that ran, if one did and it is decided."""
        runner = self._runner
        if self._last is None or not (runner.completed or runner.incomplete):
            return
        self._last = None
        self.line.say(
            "done",
            is_completed=not runner.incomplete,
            oops_ids=runner.oops_ids,
            outcome=self._ended and self._ended.outcome,
            seconds=self._ended and self._ended.seconds,
        )
        self._ended = None
        runner.completed.clear()
        runner.oops_ids.clear()


class ChildRunner(JobRunner):
    """Runs the jobs that the parent hands over."""

    def __init__(self, line: Line, *arguments: Any, **options: Any) -> None:
        self.handed = HandedFeed(line, self)
        super().__init__(*arguments, **options)
        self.observer = Observer("", {"The line to the parent": self.handed.note}, self.logger)

    def _make_feed(self) -> Feed:
        return self.handed

    def _make_executor(self, place: Workplace) -> Executor:
        return ChildExecutor(self.handed.line, self, place, self._feed.forget)

    def _drain(self) -> None:
        self.handed.line.say("ready")  # the source's own context is entered, and signals are heard
        super()._drain()


class ChildExecutor(Executor):
    """Runs a job under what only its own process can see to: memory, and the line to the parent."""

    def __init__(self, line: Line, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._line = line

    def _run(self, attempt: Attempt) -> None:
        super()._run(attempt)
        self._line.say("over", cleans_up=False)

    def _let_clean_up(self, attempt: Attempt, outcome: Outcome) -> None:
        self._line.say("over", cleans_up=cleans_up(attempt, outcome))
        super()._let_clean_up(attempt, outcome)

    def _is_asked_to_stop(self) -> bool:
        """See `Executor`; no signal that the job has sent itself, or the parent would claim it for ever."""
        return super()._is_asked_to_stop() and self._line.is_told_to_stop()

    @contextmanager
    def _watched(self, attempt: Attempt) -> Iterator[None]:
        limit = attempt.job.memory_limit or self._runner.source_view.memory_limit
        with super()._watched(attempt), memory_limited(limit):
            try:
                yield
            finally:
                if not self._line.is_whole:
                    # The job has closed what it did not open, the database's connection too perhaps: it is not to
                    # pass for a database that has gone away, after which the job would be run again.
                    os._exit(CUT_OFF_STATUS)
