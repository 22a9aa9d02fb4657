"""Offer new jobs to their section's dispatcher once they are committed, and never if they are not (LP-32)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from jobcron.database.after_commit import after_commit
from jobcron.dispatch.dispatchers import SectionDispatcher

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
        for dispatcher, job_ids in committed.items():
            dispatcher.offer(list(job_ids))


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
    after_commit(session, lambda: _batch_of(session).add(dispatcher, job_ids))
    _batch_of(session)  # its listener comes after that of the actions


def _batch_of(session: Session) -> _Batch:
    batch: _Batch | None = session.info.get(BATCH)
    if batch is None:
        batch = session.info[BATCH] = _Batch()
        event.listen(session, "after_transaction_end", batch.send)
    return batch
