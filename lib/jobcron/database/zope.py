"""Run jobs inside the transactions of the package ``transaction`` (extra ``jobcron[zope]``).

With ``transactions: zope`` in the configuration, the runner's session is a `TransactionSession`: the runner
calls ``transaction.commit()`` and ``transaction.abort()``, and a job may call both. Whatever else has joined
the thread's transaction, such as mail to be sent, is committed with the job's work, or not at all.

An application registers its own sessions with zope.sqlalchemy. That does not suit the runner's session: it
either closes a session at each commit, which detaches the claimed jobs, or leaves its SQL transaction open
after an abort.
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
        arguments, options: as for `sqlalchemy.orm.Session`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._joined: Any = None
        event.listen(self, "after_transaction_create", self._join)

    def commit(self) -> None:
        """Commit the thread's transaction, with this session's work.

        Raises:
            Exception: any error of a participant in the transaction; then nothing is committed.
        """
        transaction.commit()

    def rollback(self) -> None:
        """Abort the thread's transaction, with this session's work."""
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

    def has_commit_hooks(self) -> bool:
        """Return whether code of the application may write while the thread's transaction is being committed."""
        return bool(list(transaction.get().getBeforeCommitHooks()))

    def _join(self, session: Session, created: SessionTransaction) -> None:
        """Join the thread's transaction as soon as the session begins one."""
        current = transaction.get()
        if created.parent is None and self._joined is not current:
            current.join(_Work(self))
            self._joined = current


# why: decisions 2026-11-24, the runner's session joins `transaction`
@implementer(IDataManager)
class _Work:
    """A session's work in a transaction of the package ``transaction``.

    It votes last, and its vote is the commit.
    """

    transaction_manager = transaction.manager

    def __init__(self, session: Session) -> None:
        self._session = session

    def sortKey(self) -> str:
        """Return a key that sorts after all others, even zope.sqlalchemy's, which begins with one tilde."""
        return f"~~jobcron:{id(self)}"

    def tpc_begin(self, current: object) -> None:
        """Flush pending changes: an error here undoes everybody's work."""
        self._session.flush()

    def commit(self, current: object) -> None:
        """Do nothing yet."""

    def tpc_vote(self, current: object) -> None:
        """Commit, through the fence."""
        Session.commit(self._session)

    def tpc_finish(self, current: object) -> None:
        """Do nothing: the vote committed."""

    def tpc_abort(self, current: object) -> None:
        """Roll back what is not committed."""
        Session.rollback(self._session)

    def abort(self, current: object) -> None:
        """Roll back what is not committed."""
        Session.rollback(self._session)
