"""Where the jobs of a run come from: claimed by type, or found by the source itself.

A feed hands out jobs that are claimed and loaded; the transaction in which it did so is over.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session, object_session

from jobcron import registry
from jobcron.claim import Claim, Claimant, claim, claim_one, expire, reclaim
from jobcron.database import TransactionSource, use_session
from jobcron.effects import effects_of
from jobcron.errors import ConfigurationError, DatabaseUnavailable
from jobcron.finish import set_aside
from jobcron.history import record, record_all
from jobcron.job import Job
from jobcron.metrics import current_observer
from jobcron.outcome import NotStarted
from jobcron.registry import SourceName, dotted_name
from jobcron.runtime import smoothed
from jobcron.tables import JobTypeRow

RECLAIM_SECONDS = 30.0
"""How often a long run looks for leases that are past and jobs that have expired."""

EXPIRE_BATCH = 1000

BATCH_SECONDS = 1.0
"""How much work is claimed at once, as far as the last jobs tell."""

BATCH_GROWTH = 4
"""A batch is at most so many times as large as the one before: one job tells little."""

Entry = tuple[Claim, Any]


class Unloadable:
    """Stands for a job whose rows could not be loaded: running it fails with that error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> None:
        """Raise the error."""
        raise self.error


def end_expired(connection: Connection, type_id: int, logger: logging.Logger) -> bool:
    """Move jobs of a type that were not started in time to EXPIRED; tell whether there may be more."""
    expired = expire(connection, type_id, EXPIRE_BATCH)
    if expired:
        record_all(connection, expired, "expired", None)
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
    return claim, job or _missing(source)


def _missing(source: Any) -> Unloadable:
    name = getattr(getattr(source, "context_class", source), "__name__", type(source).__name__)
    return Unloadable(LookupError(f"its row in {name} is missing"))


def record_taken_over(session: Session, claim: Claim, job: Any) -> None:
    """Write to the history of a job that its process died, and what may be left of that attempt."""
    uuid = session.scalar(select(Job.uuid).where(Job.id == claim.id))
    record(session.connection(), claim, "taken over", f"the lease was past; {effects_of(job, uuid)}")


class Feed(Protocol):
    """Hands out claimed jobs."""

    def take(self, session: Session) -> list[Entry]:
        """Return the next jobs, claimed and loaded; an empty list where none is ready."""

    def took(self, seconds: float) -> None:
        """Learn how long a job took."""

    def forget(self) -> None:
        """Let go of objects that were loaded: their session was closed."""


class TypeFeed:
    """The jobs of one class, claimed in batches by their type.

    Args:
        source: the class.
        database: where jobs that cannot be loaded are put back.
        claimant: who claims.
        batch_size: at most so many at once.
        crash_limit: a job that died more often is handed to the runner, as one that is poison, unloaded.
        logger: told of jobs that expired or were taken over.
    """

    def __init__(
        self,
        source: Any,
        database: TransactionSource,
        claimant: Claimant,
        batch_size: int,
        crash_limit: int,
        logger: logging.Logger,
    ) -> None:
        self._source = source
        self._database = database
        self._claimant = claimant
        self._largest = batch_size
        self._crash_limit = crash_limit
        self._reclaimed: Claim | None = None
        self._batch = 1
        self._seconds: float | None = None
        self._type_id: int | None = None
        self._look_back_at = 0.0
        self._more_expired = False
        self._observer = current_observer()
        self._logger = logger

    def took(self, seconds: float) -> None:
        """Let the next batches hold about `BATCH_SECONDS` of work."""
        self._seconds = smoothed(self._seconds, seconds)

    def forget(self) -> None:
        """Hold nothing: what was claimed is in the runner's hands."""

    def take(self, session: Session) -> list[Entry]:
        """See `Feed`: first the jobs whose process died, one at a time, then those that are ready."""
        session.expunge_all()
        self._grow()
        while True:
            entries = self._take_once(session)
            if entries or not self._more_expired:
                return entries

    def _take_once(self, session: Session) -> list[Entry]:
        """Take, which ends a bounded number of expired jobs on the way, and load what was taken."""
        claims: list[Claim] = []
        try:
            claims = self._taken(session)
            session.commit()  # first: a job that kills the process which loads it has died, and that is counted
            if self._reclaimed is not None:
                self._logger.info("Job %s was left behind by its runner: taken over.", self._reclaimed.id)
                self._observer.job_taken_over(self._reclaimed.id)
            entries = self._loaded(session, claims)
            if self._reclaimed is not None:
                record_taken_over(session, *entries[0])
            session.commit()
        except Exception:
            session.rollback()
            with suppress(DBAPIError, DatabaseUnavailable):  # then the leases decide
                for unread in claims:
                    set_aside(self._database, unread, NotStarted())
            raise
        return entries

    def _grow(self) -> None:
        wanted = self._largest if not self._seconds else int(BATCH_SECONDS / self._seconds)
        if self._seconds is not None:
            self._batch = max(1, min(self._batch * BATCH_GROWTH, self._largest, wanted))

    def _taken(self, session: Session) -> list[Claim]:
        connection = session.connection()
        if self._type_id is None:
            name = self._source.type_name
            self._type_id = connection.scalar(select(JobTypeRow.id).where(JobTypeRow.name == name))
            if self._type_id is None:
                return []
        claims: list[Claim] = []
        if time.monotonic() >= self._look_back_at:
            self._more_expired = end_expired(connection, self._type_id, self._logger)
            claims = reclaim(connection, self._type_id, self._claimant)
            if not claims and not self._more_expired:
                self._look_back_at = time.monotonic() + RECLAIM_SECONDS
        self._reclaimed = claims[0] if claims else None
        if not claims:
            claims = claim(connection, self._type_id, self._batch, self._claimant)
        return claims

    def _loaded(self, session: Session, claims: list[Claim]) -> list[Entry]:
        if len(claims) == 1 and self._is_poison_to_load(session, claims[0]):
            return [(claims[0], Bare(session.get_one(Job, claims[0].id)))]
        if len(claims) > 1:
            try:
                jobs = self._source.load(session, [c.id for c in claims])
                return [(c, jobs.get(c.id) or _missing(self._source)) for c in claims]
            except SQLAlchemyError:
                raise
            except Exception:  # one of them cannot be read: it must not be in the way of the others
                session.rollback()
                self._batch, self._seconds = 1, None
        return [load_claimed(self._source, session, c) for c in claims]

    def _is_poison_to_load(self, session: Session, claim: Claim) -> bool:
        """Tell whether a job died again when it was to be stopped for its deaths: then loading it is deadly."""
        if claim != self._reclaimed:
            return False
        crashes = session.scalar(select(Job.crash_count).where(Job.id == claim.id))
        return (crashes or 0) > self._crash_limit


class IteratorFeed:
    """The jobs that a source's own ``iterReady`` yields, each claimed by its number just before it runs.

    Args:
        source: any object with ``iterReady``.
        database: where dead jobs are put back.
        claimant: who claims.
        crash_limit: at so many deaths a job is handed to the runner as one that is poison.
        logger: told of jobs that were put back.
    """

    def __init__(
        self,
        source: Any,
        database: TransactionSource,
        claimant: Claimant,
        crash_limit: int,
        logger: logging.Logger,
    ) -> None:
        self._source = source
        self._database = database
        self._claimant = claimant
        self._crash_limit = crash_limit
        self._logger = logger
        self._found: deque[tuple[int, int, Any]] = deque()
        self._claimed_in_pass = True
        self._known_types: set[int] = set()
        self._observer = current_observer()

    def took(self, seconds: float) -> None:
        """Learn nothing: jobs are claimed one by one."""

    def forget(self) -> None:
        """Look for the ready jobs again."""
        self._found.clear()
        self._claimed_in_pass = True

    def take(self, session: Session) -> list[Entry]:
        """See `Feed`. Ready jobs are looked for again until a look finds none that can be claimed."""
        while True:
            if not self._found:
                if not self._claimed_in_pass:
                    return []
                self._claimed_in_pass = False
                session.expunge_all()
                poison = self._put_back_the_dead(session)
                if poison:
                    self._claimed_in_pass = True
                    return poison
                self._found.extend(self._ready(session))
                if not self._found:
                    return []
            number, type_id, job = self._found.popleft()
            claims = claim_one(session.connection(), number, self._claimant)
            if not claims:
                session.rollback()
                continue
            self._remember_type(session, type_id)
            runnable = self._refreshed(session, number, job)
            session.commit()
            self._claimed_in_pass = True
            return [(claims[0], runnable)]

    def _ready(self, session: Session) -> list[tuple[int, int, Any]]:
        # Read whole, in a short transaction: no cursor stays open while jobs run. The numbers are kept: a rollback
        # empties the rows, and one that was deleted meanwhile cannot even be asked for its number.
        with use_session(session):
            rows = ((self._row_of(job, session), job) for job in self._source.iterReady())
            found = [(row.id, row.type_id, job) for row, job in rows]
        session.commit()
        return found

    def _row_of(self, job: Any, session: Session) -> Job:
        row = getattr(job, "job", None)
        if not isinstance(row, Job):
            raise ConfigurationError(
                f"expected the jobs of {dotted_name(self._source)} to have a jobcron.Job as .job, "
                f"got {type(row).__name__}"
            )
        if object_session(row) is not session:
            raise ConfigurationError(
                f"expected iterReady of {dotted_name(self._source)} to read its jobs in "
                "jobcron.current_session(), got a job of another session: its work would not be committed "
                "together with its status"
            )
        return row

    def _refreshed(self, session: Session, number: int, job: Any) -> Any:
        """Read again, in the claim's transaction, what the pass read long ago: `acquire` counts on it."""
        load = getattr(self._source, "load", None)
        try:
            if load is not None:
                load(session, [number])
            else:
                session.expire_all()
                session.refresh(job.job)
        except SQLAlchemyError:
            raise
        except Exception as error:  # as in `load_claimed`: this one is taken, and fails
            return Unloadable(error)
        return job

    def _remember_type(self, session: Session, type_id: int) -> None:
        """Note which types the source hands out: a job of theirs that died is then known to be its."""
        if type_id in self._known_types:
            return
        name = SourceName(dotted_name(self._source), True)
        registry.remember(session.connection(), type_id, name)
        self._known_types.add(type_id)

    def _put_back_the_dead(self, session: Session) -> list[Entry]:
        """Return dead jobs to the queue, where the source finds them again; hand out those that are poison."""
        connection = session.connection()
        for number in registry.type_ids_of(connection, self._source):
            while end_expired(connection, number, self._logger):
                session.commit()
                connection = session.connection()
            while taken := reclaim(connection, number, self._claimant):
                row = session.get_one(Job, taken[0].id, populate_existing=True)
                record_taken_over(session, taken[0], self._source)
                session.commit()
                self._logger.info("Job %s was left behind by its runner.", row.id)
                self._observer.job_taken_over(row.id)
                if row.crash_count >= self._crash_limit:
                    return [(taken[0], Bare(row))]
                set_aside(self._database, taken[0], NotStarted())
                connection = session.connection()
        session.commit()
        return []


class Bare:
    """A job of which only the shared row is known."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self) -> None:
        """Refuse: nobody knows what to run."""
        raise NotImplementedError(f"nobody knows how to run {self.job!r}")


def feed_for(
    source: Any,
    database: TransactionSource,
    claimant: Claimant,
    batch_size: int,
    crash_limit: int,
    logger: logging.Logger,
) -> Feed:
    """Return the feed that suits a source."""
    if getattr(source, "finds_ready_jobs_itself", True):
        return IteratorFeed(source, database, claimant, crash_limit, logger)
    return TypeFeed(source, database, claimant, batch_size, crash_limit, logger)
