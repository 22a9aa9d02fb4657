"""Jobs inside the transactions of the package ``transaction`` (extra ``jobcron[zope]``).

With ``transactions: zope`` in the configuration the runner's session is a `TransactionSession`: the runner commits
by ``transaction.commit()`` and undoes by ``transaction.abort()``, and a job may do both. What else has joined the
thread's transaction, mail to be sent for one, is then committed with the job's work, or not at all.

zope.sqlalchemy is what an application's own sessions are registered with. It does not suit the runner's: it either
closes a session at each commit, which lets go of the jobs that are claimed, or leaves its transaction open when
everything is aborted.
"""

from __future__ import annotations

from typing import Any

import transaction
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction
from transaction.interfaces import IDataManager
from zope.interface import implementer


class TransactionSession(Session):
    """A session that is committed and rolled back together with the thread's transaction.

    Args:
        arguments, options: as of `sqlalchemy.orm.Session`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._joined: Any = None
        event.listen(self, "after_transaction_create", self._join)

    def commit(self) -> None:
        """Commit the thread's transaction, this session's work with it.

        Raises:
            Exception: what anybody who joined the transaction raises; then nobody's work is committed.
        """
        transaction.commit()

    def rollback(self) -> None:
        """Abort the thread's transaction, this session's work with it."""
        try:
            transaction.abort()
        finally:
            super().rollback()

    def invalidate(self) -> None:
        """Close the session and its connection, and abort the thread's transaction."""
        super().invalidate()
        transaction.abort()

    def close(self) -> None:
        """Close the session, and abort the thread's transaction."""
        super().close()
        transaction.abort()

    def _join(self, session: Session, created: SessionTransaction) -> None:
        """Join the thread's transaction as soon as one of the session's own begins, whatever is done in it."""
        current = transaction.get()
        if created.parent is None and self._joined is not current:
            current.join(_Work(self))
            self._joined = current


@implementer(IDataManager)
class _Work:
    """What a session has done in a transaction of the package's.

    Nothing is asked of the database before the vote: this one votes last, and its vote is the commit.
    """

    transaction_manager = transaction.manager

    def __init__(self, session: Session) -> None:
        self._session = session

    def sortKey(self) -> str:
        """Sort after all others, zope.sqlalchemy's included, which begin with one tilde."""
        return f"~~jobcron:{id(self)}"

    def tpc_begin(self, current: object) -> None:
        """Write what is pending: an error of it undoes everybody's work."""
        self._session.flush()

    def commit(self, current: object) -> None:
        """Do nothing yet."""

    def tpc_vote(self, current: object) -> None:
        """Commit, through the fence."""
        Session.commit(self._session)

    def tpc_finish(self, current: object) -> None:
        """Do nothing any more."""

    def tpc_abort(self, current: object) -> None:
        """Undo what is not committed."""
        Session.rollback(self._session)

    def abort(self, current: object) -> None:
        """Undo what is not committed."""
        Session.rollback(self._session)
