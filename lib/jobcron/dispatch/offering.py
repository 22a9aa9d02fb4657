"""Offer new jobs to their section's dispatcher once they are committed, and never if they are not (LP-32)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, event, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from jobcron.database.after_commit import after_commit
from jobcron.database.tables import jobs_connection
from jobcron.database.trouble import first_line
from jobcron.dispatch.dispatchers import SectionDispatcher, bounded, logger
from jobcron.dispatch.offers import OfferRow, forget_offers, note_offers
from jobcron.errors import DatabaseUnavailable
from jobcron.reports.logs import NO_OOPS

BATCH = "jobcron_offers"
"""The key in `Session.info` of the jobs that the session's transaction offers."""


class _Batch:
    """The jobs of a session that are committed and not offered yet: those of one transaction go together."""

    def __init__(self) -> None:
        self.committed: dict[SectionDispatcher, dict[int, None]] = {}

    def add(self, dispatcher: SectionDispatcher, job_ids: Sequence[int]) -> None:
        """Note jobs that were just committed."""
        self.committed.setdefault(dispatcher, {}).update(dict.fromkeys(job_ids))

    def send(self, session: Session, transaction: SessionTransaction) -> None:
        """Offer what was committed, at the end of the transaction."""
        if transaction.parent is not None:
            return
        committed, self.committed = self.committed, {}
        refused: list[int] = []
        with bounded():
            for dispatcher, job_ids in committed.items():
                numbers = list(job_ids)
                if not dispatcher.offer(numbers):
                    refused += numbers
        if refused:
            _forget(session, refused)


def offer_on_commit(session: Session, job_ids: Sequence[int], dispatcher: SectionDispatcher) -> None:
    """Offer jobs once the session's transaction has committed.

    In a savepoint they go with it if it is rolled back. A dispatcher's error is logged, and leaves them to cron:
    the commit stands.

    Args:
        session: the session in which they were created, flushed.
        job_ids: their numbers.
        dispatcher: their section's.
    """
    if dispatcher.is_resting:
        return
    note_offers(jobs_connection(session), job_ids, dispatcher.section.name, dispatcher.name)
    after_commit(session, lambda: _batch_of(session).add(dispatcher, job_ids))
    _batch_of(session)  # its listener comes after that of the actions


def _forget(session: Session, job_ids: Sequence[int]) -> None:
    """Remove the rows of offers that could not be made; they would tell people something wrong."""
    bind = session.get_bind(inspect(OfferRow))
    if not isinstance(bind, Engine) or bind.dialect.name != "postgresql":
        return  # the caller's own connection, or a database where the commit might wait for somebody's lock
    try:
        with bind.begin() as connection:
            forget_offers(connection, job_ids)
    except (SQLAlchemyError, DatabaseUnavailable) as error:  # the application's pool may have no connection left
        logger.warning("An offer that failed could not be removed: %s", first_line(error), extra=NO_OOPS)


def _batch_of(session: Session) -> _Batch:
    batch: _Batch | None = session.info.get(BATCH)
    if batch is None:
        batch = session.info[BATCH] = _Batch()
        event.listen(session, "after_transaction_end", batch.send)
    return batch
