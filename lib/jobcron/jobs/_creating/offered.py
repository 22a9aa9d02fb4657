"""Offer the jobs of a class to the dispatcher of their section (LP-32)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy.orm import Session

from jobcron.dispatch.dispatchers import SectionDispatcher, current_dispatchers
from jobcron.dispatch.offering import offer_on_commit
from jobcron.interfaces import JobStatus
from jobcron.jobs.draft import Draft
from jobcron.jobs.job import Job
from jobcron.jobs.registry import SourceClass, names_of


class OfferedJob:
    """Adds to a job class how its jobs are offered to the dispatcher of their section."""

    if TYPE_CHECKING:  # attributes of the job that this mixin is part of

        @property
        def job(self) -> Job: ...

        @property
        def session(self) -> Session: ...

    def celeryRunOnCommit(self) -> None:
        """Offer this job to its section's dispatcher, or else to Celery, once its transaction has committed.

        This does nothing if the instance has neither, or if no section runs such jobs. In a section with the key
        ``dispatch`` it happens without this call. A job that is not due, or waits for other jobs, is left to cron.
        """
        dispatcher = _dispatcher_of(type(self))
        if dispatcher is not None:
            self.session.flush()
            if _is_due(self.job):
                offer_on_commit(self.session, [self.job.id], dispatcher)


def offer_new(session: Session, owner: type[object], job: Job) -> None:
    """Offer a new job to its section's dispatcher, if the section has the key ``dispatch`` and the job is due.

    Args:
        session: the caller's session, flushed.
        owner: the job's class.
        job: its shared row.
    """
    dispatcher = _dispatcher_of(owner)
    if dispatcher is not None and dispatcher.is_automatic and _is_due(job):
        offer_on_commit(session, [job.id], dispatcher)


def offer_drafts(session: Session, owner: type[object], drafts: Sequence[Draft], numbers: Sequence[int]) -> None:
    """Offer new jobs of a class as `offer_new` does.

    Args:
        session: the caller's session.
        owner: the class of the jobs.
        drafts: the values of their rows.
        numbers: their numbers, in the same order.
    """
    dispatcher = _dispatcher_of(owner)
    if dispatcher is None or not dispatcher.is_automatic:
        return
    now = datetime.now(UTC)
    due = [number for made, number in zip(drafts, numbers, strict=True) if _starts_by(now, made.job)]
    if due:
        offer_on_commit(session, due, dispatcher)


def _is_due(job: Job) -> bool:
    """Return whether a job can start; a new one's two times are both the database's."""
    by = max(job.date_created, datetime.now(UTC))
    return job.status is JobStatus.WAITING and job.scheduled_start <= by


def _starts_by(now: datetime, values: Mapping[str, object]) -> bool:
    start = values.get("scheduled_start")
    status = values.get("status", values.get("_status"))
    return status in (None, JobStatus.WAITING) and (start is None or isinstance(start, datetime) and start <= now)


def _dispatcher_of(owner: type[object]) -> SectionDispatcher | None:
    dispatchers = current_dispatchers()
    if dispatchers is None or not isinstance(owner, SourceClass):
        return None
    source = cast("SourceClass", owner)
    return None if source.finds_ready_jobs_itself else dispatchers.of_source(names_of(source))
