"""Load the jobs that a feed has claimed; end those that are past their expiry; note those that are taken over."""

from __future__ import annotations

import logging
from enum import Enum, auto
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.jobs.history import EventKind, record, record_all
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.queue._stand_ins import Unloadable
from jobcron.queue.claim import Claimant, expire
from jobcron.queue.views import RunnableView, SourceView

EXPIRE_BATCH = 1000

ALL_UNDONE = "all undone: the job works in its database only; what it committed by a checkpoint stays"


class Objects(Enum):
    """Whose the objects of a claimed job are."""

    OWN = auto()
    """The job's alone: they move to the session of its attempt."""
    UNREAD = auto()
    """To be loaded in the session of its attempt."""
    SHARED = auto()
    """Those of the session in which the source found its jobs, where the job then works."""


class Claimed(NamedTuple):
    """A job that is ours, loaded.

    Attributes:
        claim: our claim.
        job: what is run.
        objects: whose its objects are.
    """

    claim: Claim
    job: RunnableView
    objects: Objects = Objects.OWN


class FeedOrder(NamedTuple):
    """What a feed is to hand out.

    Attributes:
        source: whose jobs.
        database: where jobs that cannot be loaded are put back.
        claimant: who claims.
        batch_size: at most so many jobs at once, where they are claimed by their type.
        crash_limit: a job whose process died so often is handed out as poison: to be failed, not run.
        logger: told of jobs that expired or were taken over.
    """

    source: SourceView
    database: TransactionSource
    claimant: Claimant
    batch_size: int
    crash_limit: int
    logger: logging.Logger


def end_expired(connection: Connection, type_id: int, logger: logging.Logger) -> bool:
    """Move jobs of a type that were not started in time to EXPIRED; tell whether there may be more."""
    expired = expire(connection, type_id, EXPIRE_BATCH)
    if expired:
        record_all(connection, expired, EventKind.EXPIRED, None)
        logger.info("%s jobs expired before they were started.", len(expired))
    return len(expired) == EXPIRE_BATCH


def load_claimed(source: SourceView, session: Session, claim: Claim) -> Claimed:
    """Return one claimed job, its rows loaded.

    Raises:
        SQLAlchemyError: a table or a right is missing, or the database is in trouble: no fault of the job's.
    """
    try:
        job = source.load(session, [claim.id]).get(claim.id)
    except SQLAlchemyError:
        raise
    except Exception as error:
        # This one row cannot be read. It must not be in the way of the others: it is taken, and fails.
        return unloadable(claim, error)
    return Claimed(claim, job or source.missing())


def unloadable(claim: Claim, error: BaseException) -> Claimed:
    """Return a claimed job that fails with `error` when it is run."""
    return Claimed(claim, RunnableView(Unloadable(error)))


def load_all(source: SourceView, session: Session, claims: list[Claim]) -> list[Claimed]:
    """Return claimed jobs, their rows loaded together; where one cannot be read, one by one.

    Raises:
        SQLAlchemyError: as of `load_claimed`.
    """
    if len(claims) > 1:
        try:
            jobs = source.load(session, [claim.id for claim in claims])
            return [Claimed(claim, jobs.get(claim.id) or source.missing()) for claim in claims]
        except SQLAlchemyError:
            raise
        except Exception:  # one of them cannot be read: it must not be in the way of the others
            session.rollback()
    return [load_claimed(source, session, claim) for claim in claims]


def record_taken_over(session: Session, claim: Claim, taken: RunnableView | SourceView) -> None:
    """Write to the history of a job that its process died, and which side effects that attempt may have left.

    Args:
        session: the runner's.
        claim: the new one.
        taken: the job, or its source where no more is known.
    """
    uuid = session.scalar(select(Job.uuid).where(Job.id == claim.id))
    effects = effects_of(taken.database_only, uuid)
    record(session.connection(), claim, EventKind.TAKEN_OVER, f"the lease was past; {effects}")


def effects_of(database_only: bool, uuid: object) -> str:
    """Describe the side effects that an unfinished attempt may have left, for people.

    Args:
        database_only: whether the job does nothing outside its database.
        uuid: the job's.
    """
    if database_only:
        return ALL_UNDONE
    return f"undone in its database; what it did elsewhere may have happened: its idempotency key is {uuid}"
