"""The jobs of one source, claimed in batches: takeovers first, then ready jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from jobcron.database.connecting.alone import Brief
from jobcron.database.sessions import is_heard
from jobcron.database.statements import end_if_stopped
from jobcron.database.tables import JobTypeRow
from jobcron.errors import DatabaseUnavailable
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim, Known
from jobcron.jobs.moves.held import Held
from jobcron.queue._invalid_rows import breaks_a_statement, take_invalid
from jobcron.queue._stand_ins import Bare
from jobcron.queue.claim import (
    Claimant,
    Place,
    claim,
    claim_in_line,
    hold_channels,
    look_back,
)
from jobcron.queue.finish import set_aside
from jobcron.queue.loading import (
    Claimed,
    FeedOrder,
    end_expired,
    load_all,
    record_taken_over,
    tell_taken_over,
    unloadable,
)
from jobcron.queue.objects.awaited import BatchObjects, awaited_class
from jobcron.queue.outcome import NotStarted
from jobcron.queue.views import RunnableView
from jobcron.reports.metrics import current_observer

RECLAIM_SECONDS = 30.0
"""How often a long run looks for expired leases and expired jobs, in seconds."""

BATCH_SECONDS = 1.0
"""How many seconds of work to claim at once, estimated from the last jobs."""

BATCH_GROWTH = 4
"""How many times larger than the one before a batch may be: one job is a poor estimate."""
# why: decisions 2026-11-22, the first claim of a run takes one job

HEAD_SECONDS = 1.0
"""How often a run looks from the head of the line, for jobs with a better place than those it claims."""

HEAD_SHARE = 0.05
"""How much of a run's time such looks may take: where they take long, they are rarer."""

HEAD_PAUSE = 10.0
"""The longest time between such looks, in seconds: one that was held up is no sign that all take long."""


class TypeFeed:
    """The jobs of one class, claimed in batches by their type.

    Args:
        order: the source is a class. Jobs that died more often than `crash_limit` come unloaded.
    """

    def __init__(self, order: FeedOrder) -> None:
        self._source = order.source
        self._database = order.database
        self._claimant = order.claimant
        self._largest = order.batch_size
        self._crash_limit = order.crash_limit
        self._logger = order.logger
        self._reclaimed: Claim | None = None
        self._batch = 1
        self._seconds: float | None = None
        self._type_id: int | None = None
        self._line: Line | None = None
        self._look_back_at = 0.0
        self._more_expired = False
        self._has_channels = bool(order.claimant.channel)
        self._observer = current_observer()
        self._awaited = awaited_class(order.source) if order.awaits else None

    @property
    def has_channels(self) -> bool:
        """Whether jobs of the class were in channels at the last look."""
        return self._has_channels

    @property
    def has_taken_all(self) -> bool:
        """See `Feed`."""
        return self._line is not None and self._line.is_over

    def took(self, seconds: float) -> None:
        """Adapt the batch size to about `BATCH_SECONDS` of work."""
        self._seconds = smoothed(self._seconds, seconds)

    def look_back(self) -> None:
        """See `Feed`."""
        self._look_back_at = 0.0

    def forget(self) -> None:
        """Do nothing: the runner holds everything that was claimed."""

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """See `Feed`: first take over jobs whose process died, one at a time, then claim ready ones."""
        session.expunge_all()
        self._grow()
        while True:
            entries = self._take_once(session)
            if entries or not self._more_expired or must_stop():
                return entries

    def _take_once(self, session: Session) -> list[Claimed]:
        """Claim and load jobs; if a row with impossible values is in the way, take it alone."""
        try:
            return self._claim_and_load(session)
        except SQLAlchemyError as error:
            if self._type_id is None or not breaks_a_statement(error):
                raise
            session.rollback()
            session.expunge_all()
            found = take_invalid(session.connection(), self._type_id, self._claimant)
            if found is None:
                raise
            session.commit()
            return [unloadable(*found)]

    def _claim_and_load(self, session: Session) -> list[Claimed]:
        """Claim and load jobs; expire a limited number of jobs on the way."""
        claims: list[Claim] = []
        known: Known = {}
        try:
            # why: decisions 2026-11-25, a claim is committed before its jobs are loaded
            if not self._takes_briefly(session, claims, known):
                claims = self._taken(session, known)
                session.commit()  # before loading: if loading kills the process, the death is counted
            if self._reclaimed is not None:
                tell_taken_over(self._logger, self._reclaimed)
                self._observer.job_taken_over(self._reclaimed.id)
            entries = self._unloaded(session, claims, known) or self._loaded(session, claims)
            if self._reclaimed is not None:
                record_taken_over(session, entries[0].claim, entries[0].job)
            if session.in_transaction():
                session.commit()
        except Exception:
            session.rollback()
            with suppress(DBAPIError, DatabaseUnavailable):  # the leases decide then
                for unread in claims:
                    # why: decisions 2026-11-29, a claim that may not have been committed
                    set_aside(self._database, unread, NotStarted(), claimant=self._claimant.name)
            raise
        return entries

    def _grow(self) -> None:
        wanted = self._largest if not self._seconds else int(BATCH_SECONDS / self._seconds)
        if self._seconds is not None:
            self._batch = max(1, min(self._batch * BATCH_GROWTH, self._largest, wanted))

    def _takes_briefly(self, session: Session, claims: list[Claim], known: Known) -> bool:
        """Claim ready jobs with the driver alone, and commit the claim; return whether that was possible.

        Args:
            session: to which the claim belongs else.
            claims: gets the claims, before they are committed; if there are none, but jobs in channels, it could
                not be done so.
            known: see `jobcron.queue.claim.claim`.
        """
        is_plain = not self._has_channels and self._claimant.lease is None
        if self._line is None or not is_plain or time.monotonic() >= self._look_back_at:
            return False
        with self._database.brief(session) as brief:
            if brief is None:
                return False
            self._reclaimed = None
            claims += self._line.claim(brief, self._batch, None, known)
            if not claims:
                self._has_channels = self._line.has_more_in_channels(brief)
        return not self._has_channels

    def _taken(self, session: Session, known: Known) -> list[Claim]:
        connection = session.connection()
        if not self._database.is_ambient:
            end_if_stopped(connection)
        if self._type_id is None:
            name = self._source.type_name
            self._type_id = connection.scalar(select(JobTypeRow.id).where(JobTypeRow.name == name))
            if self._type_id is None:
                return []
        self._line = self._line or Line(self._type_id, self._claimant)
        claims: list[Claim] = []
        held: Held | None = None
        if time.monotonic() >= self._look_back_at:
            self._more_expired = end_expired(connection, self._type_id, self._logger)
            claims, held = look_back(connection, self._type_id, self._claimant)
            self._has_channels = held is not None or bool(claims and self._has_channels)
            if not claims and not self._more_expired:
                self._look_back_at = time.monotonic() + RECLAIM_SECONDS
        self._reclaimed = claims[0] if claims else None
        if not claims:
            if held is None and self._has_channels:
                held = hold_channels(connection, self._type_id, self._claimant)
            claims = self._line.claim(connection, self._batch, held, known)
        return claims

    def _unloaded(self, session: Session, claims: list[Claim], known: Known) -> list[Claimed]:
        """Return jobs whose objects are loaded when they are first used; none if they have to be loaded now."""
        if self._awaited is None or known.keys() != {*claims} or is_heard(session):
            return []  # the application would hear of it in the middle of a job, and take it for the job's own
        return BatchObjects(self._source, self._database, known).entries(self._awaited)

    def _loaded(self, session: Session, claims: list[Claim]) -> list[Claimed]:
        if len(claims) == 1 and self._is_poison_to_load(session, claims[0]):
            return [Claimed(claims[0], RunnableView(Bare(session.get_one(Job, claims[0].id))))]
        entries = load_all(self._source, session, claims)
        if any(entry.job.is_unloadable for entry in entries):
            self._batch, self._seconds = 1, None  # there may be more like this one
        return entries

    def _is_poison_to_load(self, session: Session, taken: Claim) -> bool:
        """Return whether a process died while ending a poison job: then loading the job is deadly, too."""
        if taken != self._reclaimed:
            return False
        # The attempt before this one had not begun, although the job has died before.
        deadly = (Job.id == taken.id, Job.crash_count >= self._crash_limit, Job.begun_token < taken.token - 1)
        return session.scalar(select(Job.id).where(*deadly)) is not None


class Line:
    """Claims the jobs of a type, each time starting behind the jobs that the run has claimed before.

    While a transaction is open elsewhere, PostgreSQL keeps the entries of all jobs that have begun since in the
    index, and each claim from the head of the line reads them all. Elsewhere nothing stands in the way.

    Args:
        type_id: the type of the jobs.
        claimant: who claims.

    Attributes:
        is_over: whether the last claim has taken all ready jobs, and none waits in a channel.
    """

    # why: decisions 2026-11-30, a run goes on where its last claim ended

    def __init__(self, type_id: int, claimant: Claimant) -> None:
        self._type_id = type_id
        self._claimant = claimant
        self.is_over = False
        self._place: Place | None = None
        self._head_at = 0.0

    def claim(
        self, connection: Connection | Brief, batch: int, held: Held | None = None, known: Known | None = None
    ) -> list[Claim]:
        """Claim ready jobs; return an empty list only if none is ready anywhere in the line.

        Args:
            connection: in a short transaction.
            batch: the most jobs.
            held, known: see `jobcron.queue.claim.claim`.
        """
        self.is_over = False
        if not isinstance(connection, Brief) and (held is not None or connection.dialect.name != "postgresql"):
            return claim(connection, self._type_id, batch, self._claimant, held, known)
        began = time.monotonic()
        if self._place is not None and began < self._head_at:
            claims = self._claim_from(connection, batch, self._place, known)
            if claims:
                return claims
            began = time.monotonic()
        claims = self._claim_from(connection, batch, None, known)
        now = time.monotonic()
        self._head_at = now + max(HEAD_SECONDS, min(HEAD_PAUSE, (now - began) / HEAD_SHARE))
        return claims

    def has_more_in_channels(self, brief: Brief) -> bool:
        """Return whether jobs of the type wait in channels, which a brief claim does not take."""
        return bool(brief.rows("in_channels", {"type": self._type_id}))

    def _claim_from(
        self, connection: Connection | Brief, batch: int, place: Place | None, known: Known | None
    ) -> list[Claim]:
        claims, last = claim_in_line(connection, self._type_id, batch, self._claimant, place, known)
        self._place = last if len(claims) == batch else None  # there is nothing behind the last one
        self.is_over = place is None and last is not None and last.is_end
        return claims


def smoothed(known: float | None, seconds: float) -> float:
    """Return a job's smoothed duration in seconds: the previous value and the last job, weighted 0.7 to 0.3."""
    return seconds if known is None else 0.7 * known + 0.3 * seconds
