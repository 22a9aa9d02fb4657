"""Jobs that a feed has claimed: loading them, what stands for one that cannot be, and what is met on the way."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstanceState, Session

from jobcron.database.sessions import use_session
from jobcron.jobs.history import EventKind, record, record_all
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import expire

EXPIRE_BATCH = 1000

ALL_UNDONE = "all undone: the job works in its database only; what it committed by a checkpoint stays"

Entry = tuple[Claim, Any]


class Unloadable:
    """Stands for a job whose rows could not be loaded: running it fails with that error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> None:
        """Raise the error."""
        raise self.error


class Bare:
    """A job of which only the shared row is known."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self) -> None:
        """Refuse: nobody knows what to run."""
        raise NotImplementedError(f"nobody knows how to run {self.job!r}")


def end_expired(connection: Connection, type_id: int, logger: logging.Logger) -> bool:
    """Move jobs of a type that were not started in time to EXPIRED; tell whether there may be more."""
    expired = expire(connection, type_id, EXPIRE_BATCH)
    if expired:
        record_all(connection, expired, EventKind.EXPIRED, None)
        logger.info("%s jobs expired before they were started.", len(expired))
    return len(expired) == EXPIRE_BATCH


def load_claimed(source: Any, session: Session, claim: Claim) -> Entry:
    """Return one claimed job, its rows loaded.

    Raises:
        SQLAlchemyError: a table or a right is missing, or the database is in trouble: no fault of the job's.
    """
    try:
        if hasattr(source, "load"):
            job = source.load(session, [claim.id]).get(claim.id)
        else:  # a source that uses none of our classes: by convention it has get
            with use_session(session):
                job = source.get(claim.id)
    except SQLAlchemyError:
        raise
    except Exception as error:
        # This one row cannot be read. It must not be in the way of the others: it is taken, and fails.
        return claim, Unloadable(error)
    return claim, job or missing(source)


def load_all(source: Any, session: Session, claims: list[Claim]) -> list[Entry]:
    """Return claimed jobs, their rows loaded together; where one cannot be read, one by one.

    Raises:
        SQLAlchemyError: as of `load_claimed`.
    """
    if len(claims) > 1:
        try:
            jobs = source.load(session, [claim.id for claim in claims])
            return [(claim, jobs.get(claim.id) or missing(source)) for claim in claims]
        except SQLAlchemyError:
            raise
        except Exception:  # one of them cannot be read: it must not be in the way of the others
            session.rollback()
    return [load_claimed(source, session, claim) for claim in claims]


def is_loaded(job: Any, session: Session) -> bool:
    """Tell whether a job's rows are in the session, with what was read of them; asks the database nothing.

    A job that ran before may have emptied the session: by a rollback, or `expunge_all`. What another one then
    changes in its rows would be lost, and reading them would open a transaction.
    """
    # In this order: a context that is not whole would be asked for its row.
    return all(_is_whole(getattr(job, name, None), session) for name in ("context", "job"))


def _is_whole(row: Any, session: Session) -> bool:
    state: InstanceState[Any] | None = inspect(row, raiseerr=False)
    return not isinstance(state, InstanceState) or (state.session is session and not state.expired)


def missing(source: Any) -> Unloadable:
    """Return what stands for a job of which the row in the source's own table is gone."""
    name = getattr(getattr(source, "context_class", source), "__name__", type(source).__name__)
    return Unloadable(LookupError(f"its row in {name} is missing"))


def record_taken_over(session: Session, claim: Claim, job: Any) -> None:
    """Write to the history of a job that its process died, and what may be left of that attempt."""
    uuid = session.scalar(select(Job.uuid).where(Job.id == claim.id))
    record(session.connection(), claim, EventKind.TAKEN_OVER, f"the lease was past; {effects_of(job, uuid)}")


def effects_of(job: Any, uuid: object) -> str:
    """Return what may be left, for people.

    Args:
        job: the runnable job, or its source where no more is known.
        uuid: the job's.
    """
    if getattr(job, "database_only", False) is True:
        return ALL_UNDONE
    return f"undone in its database; what it did elsewhere may have happened: its idempotency key is {uuid}"
