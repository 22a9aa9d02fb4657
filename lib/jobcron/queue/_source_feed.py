"""The feed for sources that find their ready jobs themselves, with a custom ``iterReady``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, object_session

from jobcron.database.sessions import use_session
from jobcron.errors import ConfigurationError
from jobcron.jobs import known_types
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.jobs.moves.pauses import Scope, is_paused
from jobcron.jobs.registry import SourceName
from jobcron.queue._invalid_rows import breaks_a_statement, take_invalid
from jobcron.queue._stand_ins import Bare
from jobcron.queue.claim import claim_one, claim_one_with_room, reclaim
from jobcron.queue.finish import set_aside
from jobcron.queue.loading import (
    Claimed,
    FeedOrder,
    Objects,
    end_expired,
    load_claimed,
    record_taken_over,
    tell_taken_over,
    unloadable,
)
from jobcron.queue.outcome import NotStarted
from jobcron.queue.views import RunnableView
from jobcron.reports.metrics import current_observer


class Found(NamedTuple):
    """A job as the source yielded it. The number is copied because a rollback empties the row."""

    number: int
    type_id: int
    channel: str | None
    row: Job
    job: RunnableView


class IteratorFeed:
    """The jobs that a custom ``iterReady`` yields, each claimed by its number just before it runs.

    Args:
        order: the source is any object with ``iterReady``.

    Attributes:
        has_taken_all: see `Feed`.
    """

    has_taken_all = False

    def __init__(self, order: FeedOrder) -> None:
        self._source = order.source
        self._database = order.database
        self._claimant = order.claimant
        self._crash_limit = order.crash_limit
        self._logger = order.logger
        self._found: deque[Found] = deque()
        self._claimed_in_pass = True
        self._known_types: set[int] = set()
        self._observer = current_observer()

    def took(self, seconds: float) -> None:
        """Do nothing: jobs are claimed one by one."""

    def look_back(self) -> None:
        """Search for ready jobs again."""
        self._claimed_in_pass = True

    def forget(self) -> None:
        """Search for ready jobs again."""
        self._found.clear()
        self._claimed_in_pass = True

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """See `Feed`. Repeat the search for ready jobs until none that it finds can be claimed."""
        while True:
            if not self._found:
                if not self._claimed_in_pass:
                    return []
                self._claimed_in_pass = False
                session.expunge_all()
                taken = self._search(session, must_stop)
                if taken or must_stop():
                    self._claimed_in_pass = True
                    return taken
                if not self._found:
                    return []
            found = self._found.popleft()
            try:
                claims = self._claimed(session, found)
            except SQLAlchemyError as error:
                return self._invalid(session, error, [found.type_id])
            if not claims:
                session.rollback()
                continue
            self._remember_type(session, found.type_id)
            claimed = self._refreshed(session, claims[0], found)
            session.commit()
            self._claimed_in_pass = True
            return [claimed]

    def _claimed(self, session: Session, found: Found) -> list[Claim]:
        if found.channel is None and not self._claimant.channel:
            return claim_one(session.connection(), found.number, self._claimant)
        return claim_one_with_room(session.connection(), found.number, found.type_id, self._claimant)

    def _search(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """Find the ready jobs; return those that can only be ended."""
        try:
            if is_paused(session.connection(), Scope.SECTION, self._claimant.section):
                session.commit()
                return []  # the source is not asked for jobs that could not be claimed
            poison = self._put_back_the_dead(session, must_stop)
            if not poison and not must_stop():
                self._found.extend(self._ready(session))
            return poison
        except Exception as error:
            session.rollback()
            return self._invalid(session, error, known_types.type_ids_of(session.connection(), self._source.name))

    def _invalid(self, session: Session, error: Exception, types: list[int]) -> list[Claimed]:
        """Return a job whose row has impossible values, if that is why a statement failed; raise otherwise."""
        session.rollback()
        if isinstance(error, ConfigurationError) or (
            isinstance(error, SQLAlchemyError) and not breaks_a_statement(error)
        ):
            raise error
        self.forget()
        session.expunge_all()  # what is loaded belongs to no claimed job
        for number in types:
            if found := take_invalid(session.connection(), number, self._claimant):
                session.commit()
                return [unloadable(*found)]
        raise error

    def _ready(self, session: Session) -> list[Found]:
        # Read completely, in a short transaction: no cursor stays open while jobs run.
        # why: decisions 2026-11-22, `iterReady` of one's own is read whole
        with use_session(session):
            rows = ((self._row_of(job, session), job) for job in self._source.ready())
            found = [Found(row.id, row.type_id, row.channel, row, job) for row, job in rows]
        session.commit()
        return found

    def _row_of(self, job: RunnableView, session: Session) -> Job:
        row = job.row
        if row is None:
            raise ConfigurationError(
                f"expected the jobs of {self._source.name} to have a jobcron.Job as .job, "
                f"got a {job.class_name} without one"
            )
        if object_session(row) is not session:
            raise ConfigurationError(
                f"expected iterReady of {self._source.name} to read its jobs in "
                "jobcron.current_session(), got a job of another session: its work would not be committed "
                "together with its status"
            )
        return row

    def _refreshed(self, session: Session, claim: Claim, found: Found) -> Claimed:
        """Reload the job in the claim's transaction, because its data may be old; `acquire` relies on this."""
        if object_session(found.row) is not session:  # a job that ran in between emptied the session
            return load_claimed(self._source, session, claim)._replace(objects=Objects.SHARED)
        try:
            if self._source.loads_rows:
                self._source.load(session, [claim.id])
            else:
                session.expire_all()
                session.refresh(found.row)
        except SQLAlchemyError:
            raise
        except Exception as error:  # as in `load_claimed`: the job is claimed, and fails
            return unloadable(claim, error)
        return Claimed(claim, found.job, Objects.SHARED)

    def _remember_type(self, session: Session, type_id: int) -> None:
        """Record the types that the source yields, so that their dead jobs are known to belong to it."""
        if type_id in self._known_types:
            return
        name = SourceName(self._source.name, True)
        known_types.remember(session.connection(), type_id, name)
        self._known_types.add(type_id)

    def _put_back_the_dead(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """Requeue dead jobs, so that the source finds them again; return a poison job at once."""
        for number in known_types.type_ids_of(session.connection(), self._source.name):
            connection = session.connection()
            while end_expired(connection, number, self._logger) and not must_stop():
                session.commit()
                connection = session.connection()
            while not must_stop() and (taken := reclaim(connection, number, self._claimant)):
                row = session.get_one(Job, taken[0].id, populate_existing=True)
                record_taken_over(session, taken[0], self._source)
                session.commit()
                tell_taken_over(self._logger, taken[0])
                self._observer.job_taken_over(row.id)
                if row.crash_count >= self._crash_limit:
                    return [Claimed(taken[0], RunnableView(Bare(row)))]
                set_aside(self._database, taken[0], NotStarted())
                connection = session.connection()
            session.commit()  # it may hold channels: those of two types at once could be in no fixed order
        session.commit()
        return []
