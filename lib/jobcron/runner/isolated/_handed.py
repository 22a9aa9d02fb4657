"""Inside a child process: the jobs that the parent hands over, and the guard that accompanies them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from jobcron.jobs.lease import Claim
from jobcron.queue.loading import Claimed, load_claimed
from jobcron.queue.outcome import Completed
from jobcron.queue.views import RunnableView, SourceView
from jobcron.runner.isolated._line import Line
from jobcron.runner.isolated._memory import memory_limited
from jobcron.runner.source_runner import Guard, JobEnd

CUT_OFF_STATUS = 70
"""The exit status of a process that can no longer talk to its parent."""


class HandedFeed:
    """Receives the jobs that the parent hands over, each already claimed.

    Args:
        line: the line to the parent.
        source: the source of the jobs.
    """

    def __init__(self, line: Line, source: SourceView) -> None:
        self._line = line
        self._source = source
        self._pending: Claim | None = None
        self._ended: JobEnd | None = None
        self._has_failed = False

    def took(self, seconds: float) -> None:
        """Do nothing: the parent claims."""

    def look_back(self) -> None:
        """Do nothing: the parent looks."""

    def forget(self) -> None:
        """Do nothing."""

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """See `Feed`: report the outcome of the last job, and wait for the next."""
        if self._pending is None:
            self.tell_done()
            message = None if self._has_failed else self._line.hear()
            if message is None or "run" not in message:
                return []
            self._pending = Claim(*message["run"])
        session.expunge_all()
        claimed = load_claimed(self._source, session, self._pending)  # or what says that it is lost meanwhile
        session.commit()
        self._pending = None
        self._line.say("started")
        return [claimed]

    def ended(self, end: JobEnd) -> None:
        """Keep a job's outcome until it is reported; after a job that did not complete, take no more jobs."""
        self._ended = end
        self._has_failed = not isinstance(end.outcome, Completed)

    def tell_done(self) -> None:
        """Report the outcome of the last job to the parent, if there is one and it is decided."""
        if self._ended is None:
            return
        end, self._ended = self._ended, None
        self._line.say(
            "done",
            is_completed=isinstance(end.outcome, Completed),
            oops_ids=end.oops_ids,
            outcome=end.outcome.kind,
            seconds=end.seconds,
        )


class ChildGuard(Guard):
    """Guards what only the job's own process can watch: its memory, and the line to the parent.

    Args:
        line: the line to the parent.
        source: gives the memory limit of jobs that set none.
        feed: receives the outcome of each job.
    """

    def __init__(self, line: Line, source: SourceView, feed: HandedFeed) -> None:
        self._line = line
        self._source = source
        self._feed = feed

    def run_begins(self) -> None:
        """Report that the child is ready, and receives signals."""
        self._line.say("ready")

    def job_begins(self) -> None:
        """Report that a job is running."""
        self._line.say("running")

    @contextmanager
    def around(self, job: RunnableView) -> Iterator[None]:
        """Limit the memory; end this process if the job closed the line."""
        with memory_limited(job.memory_limit or self._source.memory_limit):
            try:
                yield
            finally:
                if not self._line.is_whole:
                    # The job closed what it did not open, perhaps the database's connection too. This must not
                    # look like
                    # an unavailable database, because then the job would run again.
                    # why: decisions 2026-11-25, a child's word is not taken
                    os._exit(CUT_OFF_STATUS)

    def job_returned(self, *, cleans_up: bool) -> None:
        """Report that ``run`` is over, and whether the failure hook is called next."""
        self._line.say("over", cleans_up=cleans_up)

    def confirms_stop(self) -> bool:
        """Ask whether the parent requested a stop: a job that sent the signal itself would run again for ever."""
        return self._line.is_told_to_stop()

    def job_ended(self, end: JobEnd) -> None:
        """Give a job's outcome to the feed, which reports it before the next job."""
        self._feed.ended(end)
