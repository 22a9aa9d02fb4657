"""Load the jobs that a feed has claimed; expire jobs that were not started in time; record takeovers."""

from __future__ import annotations

import logging
from contextlib import suppress
from enum import Enum, auto
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.database.sessions import OwnedSession
from jobcron.errors import InvalidRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, record, record_all
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim, RowFacts, lost
from jobcron.queue._invalid_rows import is_no_text, mend
from jobcron.queue._stand_ins import Unloadable
from jobcron.queue.claim import Claimant
from jobcron.queue.finish import expire
from jobcron.queue.views import RunnableView, SourceView
from jobcron.reports.plurals import counted

EXPIRE_BATCH = 1000

ALL_UNDONE = "all undone: the job works in its database only; what it committed by a checkpoint stays"


class Objects(Enum):
    """The owner of a claimed job's objects."""

    OWN = auto()
    """They belong to the job alone: they move to the session of its attempt."""
    UNREAD = auto()
    """They are still to be loaded, in the session of the attempt."""
    SHARED = auto()
    """They belong to the session in which the source found its jobs; the job works there."""
    AWAITED = auto()
    """They are loaded, for the whole batch, when the job touches them, and move to the session of its attempt."""


class Batch(Protocol):
    """The objects of a batch of jobs that are loaded when they are touched."""

    def serve(self, claim: Claim, session: OwnedSession) -> None:
        """Let the objects of a job that begins now move to this session when they are first used."""


class Claimed(NamedTuple):
    """A job that this run has claimed, and that is loaded now or when it is first used.

    Attributes:
        claim: our claim.
        job: the job to run.
        objects: who owns its objects.
        facts: what is known of its row without its objects, if they are awaited.
        batch: loads them.
        rows: the objects that belong to the job, once they are in no session: its rows, and what they refer to.
    """

    claim: Claim
    job: RunnableView
    objects: Objects = Objects.OWN
    facts: RowFacts | None = None
    batch: Batch | None = None
    rows: tuple[object, ...] = ()


class FeedOrder(NamedTuple):
    """What a feed should hand out.

    Attributes:
        source: the source of the jobs.
        database: where to put back jobs that cannot be loaded.
        claimant: who claims.
        batch_size: the most jobs to claim at once, if they are claimed by type.
        crash_limit: a job whose process died this often is handed out as poison: to fail it, not to run it.
        logger: logs jobs that expired or were taken over.
        awaits: whether the objects of jobs may be loaded when the jobs touch them.
    """

    source: SourceView
    database: TransactionSource
    claimant: Claimant
    batch_size: int
    crash_limit: int
    logger: logging.Logger
    awaits: bool = False


def end_expired(connection: Connection, type_id: int, logger: logging.Logger) -> bool:
    """Move jobs of a type that were not started in time to EXPIRED; return whether there may be more."""
    expired = expire(connection, type_id, EXPIRE_BATCH)
    if expired:
        record_all(connection, expired, EventKind.EXPIRED, None)
        logger.info("%s expired without being started.", counted(len(expired), "job"))
    return len(expired) == EXPIRE_BATCH


def load_claimed(source: SourceView, session: Session, claim: Claim, *, is_to_begin: bool = True) -> Claimed:
    """Return one claimed job with its rows loaded.

    Args:
        source, session, claim: the job and where to load it.
        is_to_begin: whether it may begin only if it is still held; one that has begun may be over by now.

    Raises:
        SQLAlchemyError: a table or a right is missing, or the database is in trouble; not the job's fault.
    """
    try:
        job = source.load(session, [claim.id]).get(claim.id)
    except Exception as error:
        if isinstance(error, SQLAlchemyError) and not is_no_text(error):
            raise
        # This one row cannot be read, and must not block the others: the job is claimed, and fails.
        # why: decisions 2026-11-22, a row that cannot be loaded fails alone
        return unloadable(claim, _invalid(session, claim) or error)
    return _checked(session, Claimed(claim, job or source.missing()), is_to_begin=is_to_begin)


def _checked(session: Session, claimed: Claimed, *, is_to_begin: bool = True) -> Claimed:
    """Return a loaded job; or a stand-in if the run has lost it, or if SQLite has texts in place of numbers."""
    row, claim = claimed.job.row, claimed.claim
    if is_to_begin and row is not None and (row.status, row.lease_token) != (JobStatus.RUNNING, claim.token):
        return unloadable(claim, lost(claim))  # it was moved since it was claimed
    numbers = () if row is None else (row.crash_count, row.priority, row.max_retries or 0)
    if all(isinstance(number, int) for number in numbers):
        return claimed
    invalid = _invalid(session, claimed.claim)
    return claimed if invalid is None else unloadable(claimed.claim, invalid)


def _invalid(session: Session, claim: Claim) -> InvalidRow | None:
    """Return what is wrong in a job's row, if that is why it cannot be loaded, and replace the invalid values."""
    with suppress(SQLAlchemyError):  # the error that is known says enough
        return mend(session.connection(), claim)
    return None


def unloadable(claim: Claim, error: BaseException) -> Claimed:
    """Return a claimed job that raises `error` when it is run."""
    return Claimed(claim, RunnableView(Unloadable(error)))


def load_all(source: SourceView, session: Session, claims: list[Claim]) -> list[Claimed]:
    """Return claimed jobs with their rows loaded together, or one by one if one cannot be read.

    Raises:
        SQLAlchemyError: as for `load_claimed`.
    """
    if len(claims) > 1:
        try:
            jobs = source.load(session, [claim.id for claim in claims])
            return [_checked(session, Claimed(claim, jobs.get(claim.id) or source.missing())) for claim in claims]
        except Exception as error:  # one of them cannot be read: it must not block the others
            if isinstance(error, SQLAlchemyError) and not is_no_text(error):
                raise
            session.rollback()
    return [load_claimed(source, session, claim) for claim in claims]


def record_taken_over(session: Session, claim: Claim, taken: RunnableView | SourceView) -> None:
    """Record in a job's history that its process died, and which side effects the attempt may have left.

    Args:
        session: the runner's session.
        claim: the new claim.
        taken: the job, or its source if the job is not loaded.
    """
    uuid = session.scalar(select(Job.uuid).where(Job.id == claim.id))
    effects = effects_of(taken.database_only, uuid)
    reason = "its process was gone" if claim.is_from_gone else "the lease was past"
    record(session.connection(), claim, EventKind.TAKEN_OVER, f"{reason}; {effects}")


def tell_taken_over(logger: logging.Logger, claim: Claim) -> None:
    """Log that a job was taken over."""
    was = "taken over: its process was gone" if claim.is_from_gone else "left behind by its runner: taken over"
    logger.info("Job %s was %s.", claim.id, was)


def effects_of(database_only: bool, uuid: object) -> str:
    """Describe, in words, the side effects that an unfinished attempt may have left.

    Args:
        database_only: whether the job does nothing outside its database.
        uuid: the job's UUID.
    """
    if database_only:
        return ALL_UNDONE
    return f"undone in its database; what it did elsewhere may have happened: its idempotency key is {uuid}"
