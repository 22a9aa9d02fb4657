"""Find or create the one job for a target or key that has not started, under any number of concurrent callers.

An index of the database makes a unique key unique among the jobs of its type that have not begun. So one
INSERT … ON CONFLICT finds the job or creates it, and locks it in either case. A job that `create` made has no key:
an UPDATE that changes nothing finds and locks it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from jobcron.database.clock import database_after
from jobcron.database.sessions import ATTEMPT
from jobcron.errors import InvalidJobData
from jobcron.interfaces import JobStatus
from jobcron.jobs._creating.one import find_or_create_one
from jobcron.jobs._job_class import JobClass
from jobcron.jobs.draft import Draft, key_for
from jobcron.jobs.family import target_name
from jobcron.jobs.job import Job, can_start, has_status
from jobcron.jobs.moves.edges import waits_in_vain
from jobcron.jobs.status import NOT_STARTED, Movable
from jobcron.settings.durations import seconds_of

Owner = TypeVar("Owner", bound=JobClass)
"""A job class."""


class Debounce(NamedTuple):
    """How the start of a job that is acquired again and again is pushed back.

    Attributes:
        seconds: it starts so long after the last call.
        limit: but not further than so many seconds after it was created; None: without a limit.
    """

    seconds: float
    limit: float | None

    def first(self) -> ColumnElement[datetime]:
        """Return when a new job starts."""
        return database_after(self.seconds if self.limit is None else min(self.seconds, self.limit))

    def push_back(self, session: Session, job: Job) -> None:
        """Push the start of a job back, whose row is locked; one that starts later already stays as it is."""
        start = session.scalar(select(database_after(self.seconds)))
        assert start is not None
        if self.limit is not None:
            start = min(start, job.date_created + timedelta(seconds=self.limit))
        if start > job.scheduled_start:
            job.asked_start = job.asked_start or job.scheduled_start
            job.scheduled_start = start
            session.flush()


def debounced(values: dict[str, object]) -> Debounce | None:
    """Take ``debounce`` and ``at_most`` out of the values of a call; return how the start is pushed back, or None.

    Raises:
        InvalidJobData: a start is given besides, or a limit alone.
        InvalidDuration: one of them is no duration.
    """
    debounce, at_most = values.pop("debounce", None), values.pop("at_most", None)
    if debounce is None:
        if at_most is not None:
            raise InvalidJobData("expected at_most together with debounce, got it alone")
        return None
    if values.get("scheduled_start") is not None:
        raise InvalidJobData("expected either debounce or a start, got both")
    limit = None if at_most is None else seconds_of("at_most", at_most, allows_zero=False)
    return Debounce(seconds_of("debounce", debounce, allows_zero=False), limit)


def acquire(
    owner: type[Owner], session: Session, target: object, made: Draft, debounce: Debounce | None = None
) -> Owner:
    """Return the job that has not started, or create it.

    Args:
        owner: the job class.
        session: the caller's session, flushed.
        target: what the job is about.
        made: the new job's values; the target's key is added if they have no ``unique_key``.
        debounce: how the start is pushed back, if it is.

    Raises:
        InvalidJobData: there is neither a target nor a key.
    """
    if debounce is not None:
        made.job["scheduled_start"] = debounce.first()
    found, is_new = _found_or_created(owner, session, target, made)
    if debounce is not None and not is_new:
        debounce.push_back(session, found.job)
    return found


def _found_or_created(owner: type[Owner], session: Session, target: object, made: Draft) -> tuple[Owner, bool]:
    if "unique_key" not in made.job:
        about = made.family.get(target_name(owner.context_class)) if owner.has_family else target
        if about is None:
            raise InvalidJobData(f"expected a target or unique_key for {owner.__name__}.acquire(), got neither")
        waiting = _waiting_without_key(owner, session, about)
        if waiting is not None:
            return waiting, False
        made.job["unique_key"] = key_for(owner, about, made.job.get("target_mark"))
    found = find_or_create_one(owner, session, made)
    return (_as_it_is(owner, session, found), False) if isinstance(found, int) else (found, True)


def _waiting_without_key(owner: type[Owner], session: Session, about: object) -> Owner | None:
    """Return a job that `create` made for the target, locked; None if there is none that will run."""
    in_vain: list[int] = []
    while (found := _locked_without_key(owner, session, about, in_vain)) is not None:
        number, status = found
        if status is not JobStatus.BLOCKED or not waits_in_vain(session.connection(), number):
            return _as_it_is(owner, session, number)
        in_vain.append(number)
    return None


def _locked_without_key(
    owner: type[Owner], session: Session, about: object, but: list[int]
) -> tuple[int, JobStatus] | None:
    """Lock a job without a key that has not started; return its number and status."""
    will_run: tuple[ColumnElement[bool], ...] = (
        Job.unique_key.is_(None),
        has_status(*NOT_STARTED),
        Job.begun_token == 0,
        can_start(),
    )
    attempt: Movable | None = session.info.get(ATTEMPT)
    if attempt is not None:  # in a group of jobs its row does not say yet that it has started
        will_run += (Job.id != attempt.claim.id,)
    if but:
        will_run += (Job.id.not_in(but),)
    first = owner._select().where(owner._is_about(about), *will_run).order_by(Job.id).limit(1)
    row = session.execute(
        update(Job)
        .where(Job.id == first.with_only_columns(Job.id).scalar_subquery(), *will_run)
        .values(unique_key=Job.unique_key)  # changes nothing, and locks the row
        .returning(Job.id, Job._status),
        execution_options={"synchronize_session": False},
    ).first()
    return None if row is None else (row[0], row[1])


def _as_it_is(owner: type[Owner], session: Session, number: int) -> Owner:
    """Return a job that is locked, as its rows are now, whatever the session has of it."""
    rows = session.scalars(owner._select().where(Job.id == number), execution_options={"populate_existing": True})
    return owner(rows.unique().one())
