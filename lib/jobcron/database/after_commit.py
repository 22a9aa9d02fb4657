"""Run actions after a commit: nothing leaves the process unless the transaction commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from jobcron.database.sessions import ACTIONS, ON_FAILED_ACTION
from jobcron.errors import IncompleteJobType
from jobcron.settings.finished import finished, laziness


class _Actions:
    """The actions that wait for the commits of one session, each with its savepoint.

    They are decided when a transaction ends, since `Session.close` and `invalidate` fire no ``after_rollback``.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[SessionTransaction | None, Callable[[], object]]] = []
        self.committed: SessionTransaction | None = None

    def note_commit(self, session: Session) -> None:
        """Remember which transaction, or savepoint, was committed."""
        self.committed = session.get_nested_transaction() or session.get_transaction()

    def end(self, session: Session, transaction: SessionTransaction) -> None:
        """Run, pass on or drop the actions of a transaction that has ended."""
        committed, self.committed = self.committed is transaction, None
        if transaction.parent is not None:
            # Actions of a savepoint share its fate, then that of the transaction around it.
            # why: decisions 2026-11-22, actions after a commit
            outer = transaction.parent
            self.waiting = [
                (outer if owner is transaction else owner, action)
                for owner, action in self.waiting
                if owner is not transaction or committed
            ]
            return
        actions, self.waiting = self.waiting, []
        for _, action in actions if committed else []:
            try:
                finished(action(), "an action after a commit")
            except (Exception, SystemExit) as error:
                failed: Callable[[BaseException], None] | None = session.info.get(ON_FAILED_ACTION)
                if failed is None:
                    raise
                failed(error)


def after_commit(session: Session, action: Callable[[], object]) -> None:
    """Call `action` after the session's transaction has committed; never call it if that is rolled back.

    If this is called inside a savepoint, rolling back the savepoint drops the action as well. An error of the
    action does not undo the commit: the call that committed raises it; in a runner it is logged instead.

    Raises:
        IncompleteJobType: `action` is ``async def`` or contains ``yield``, so that a call would do nothing.
    """
    if lazy := laziness(action):
        raise IncompleteJobType(f"expected an action after a commit that does its work when called, got {lazy}")
    actions: _Actions | None = session.info.get(ACTIONS)
    if actions is None:
        actions = session.info[ACTIONS] = _Actions()
        event.listen(session, "after_commit", actions.note_commit)
        event.listen(session, "after_transaction_end", actions.end)
    if not session.in_transaction():
        session.begin()  # the transaction whose end decides; it reaches the database with the first statement
    actions.waiting.append((session.get_nested_transaction(), action))


class Waiting(Protocol):
    """What waits for the commits of a session.

    Attributes:
        waiting: the actions.
    """

    waiting: list[tuple[SessionTransaction | None, Callable[[], object]]]


def hold_actions(session: Session) -> Waiting:
    """Keep the actions of a session from ever being done, and return what is waiting."""
    actions = session.info[ACTIONS] = _Actions()  # nobody tells it of a commit
    return actions
