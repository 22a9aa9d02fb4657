"""One job, claimed by its number: for whoever was told that number and nothing else (LP-32)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobcron.database.tables import JobTypeRow
from jobcron.dispatch.offers import forget_offers
from jobcron.errors import DatabaseUnavailable
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import claim_one, claim_one_with_room
from jobcron.queue.finish import set_aside
from jobcron.queue.loading import Claimed, FeedOrder, load_claimed
from jobcron.queue.outcome import NotStarted


class NumberFeed:
    """Hands out the job with one number, if it can be claimed; nothing else, and nothing a second time.

    It cannot if it is not waiting, not due, paused, in a channel without room, of another source, or gone.

    Args:
        order: the source is a class.
        job_id: the job's number.

    Attributes:
        has_taken_all: see `Feed`.
    """

    has_taken_all = False

    def __init__(self, order: FeedOrder, job_id: int) -> None:
        self._order = order
        self._job_id = job_id
        self._is_over = False

    def took(self, seconds: float) -> None:
        """Do nothing: there is one job."""

    def look_back(self) -> None:
        """Do nothing: there is one job."""

    def forget(self) -> None:
        """Do nothing: the runner holds the job."""

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """See `Feed`."""
        if self._is_over:
            return []
        session.expunge_all()
        claims: list[Claim] = []
        try:
            claims = self._claimed(session)
            # why: decisions 2026-11-25, a claim is committed before its jobs are loaded
            session.commit()
            loaded = [load_claimed(self._order.source, session, claim) for claim in claims]
            session.commit()
        except Exception:
            session.rollback()
            with suppress(DBAPIError, DatabaseUnavailable):  # the lease decides then
                for claim in claims:
                    set_aside(self._order.database, claim, NotStarted(), claimant=self._order.claimant.name)
            raise
        self._is_over = True
        return loaded

    def _claimed(self, session: Session) -> list[Claim]:
        connection, claimant = session.connection(), self._order.claimant
        is_it = select(Job.type_id, Job.channel).join(JobTypeRow).where(Job.id == self._job_id)
        is_it = is_it.where(JobTypeRow.name == self._order.source.type_name)
        row = session.execute(is_it).first()
        if row is None:
            return []
        forget_offers(connection, [self._job_id])  # it has arrived
        if row.channel is None and not claimant.channel:
            claims = claim_one(connection, self._job_id, claimant)
        else:
            claims = claim_one_with_room(connection, self._job_id, row.type_id, claimant)
        if claims and session.scalar(select(Job.type_id).where(Job.id == self._job_id)) != row.type_id:
            session.rollback()  # it has gone into another lane since it was looked at: that is not ours
            return []
        return claims
