"""Check that a job of a group leaves nothing behind that disturbs the group's other jobs or undoes their work."""

from __future__ import annotations

from operator import attrgetter

from sqlalchemy import Connection
from sqlalchemy.engine.events import ConnectionEvents
from sqlalchemy.orm import Session, SessionEvents

from jobcron.database.connecting.sharing import Shared
from jobcron.database.sessions import ACTIONS, OwnedSession
from jobcron.errors import LeavesGroup
from jobcron.runner.grouped._attempt import GroupedAttempt


def _names(events: type[object]) -> tuple[str, ...]:
    return tuple(name for name in vars(events) if not name.startswith("_") and name != "dispatch")


_EVENTS, _OF_CONNECTION = _names(SessionEvents), _names(ConnectionEvents)

_ENDS = (
    "before_commit",
    "after_commit",
    "after_rollback",
    "after_soft_rollback",
    "after_transaction_create",
    "after_transaction_end",
)
"""The events of which a session that shares its transaction tells nothing, or at another time."""

_ends_of, _events_of = attrgetter(*_ENDS), attrgetter(*_EVENTS)


def hears_ends(session: Session) -> bool:
    """Return whether code outside jobcron listens to the ends of a session's transactions."""
    return any(_is_foreign(listener) for heard in _ends_of(session.dispatch) for listener in heard)


def has_listeners(session: Session) -> bool:
    """Return whether code outside jobcron listens to this session alone, and not to all sessions of its class."""
    return any(_is_foreign(listener) for heard in _events_of(session.dispatch) for listener in heard.listeners)


def _is_foreign(listener: object) -> bool:
    return not str(getattr(listener, "__module__", "")).startswith("jobcron.")


def check_job(attempt: GroupedAttempt, session: OwnedSession, shared: Shared) -> None:
    """Check that a job has left nothing that others of its group would notice.

    Raises:
        LeavesGroup: it has.
    """
    breach = attempt.breach or shared.breach
    if not breach and session.get_nested_transaction() is not None:
        breach = "left a savepoint open"
    if not breach and ACTIONS in session.info:
        breach = "wants something done after its commit"
    if not breach and shared.is_marked:
        breach = "left something behind on its connection"
    if breach:
        raise LeavesGroup(breach)
    check_transaction(shared)


def check_session(session: OwnedSession) -> None:
    """Check that no job has left a listener on a session, after the last job that uses it.

    Jobs that touch nothing share a session, and to look at its sixty events takes longer than such a job.

    Raises:
        LeavesGroup: one has.
    """
    if has_listeners(session) or hears_ends(session):
        raise LeavesGroup("listens to its session")


class UnchangedConnection:
    """Detects changes that jobs made to SQLAlchemy's object for the connection that they share.

    Its options hold for all who use it: a job's map of schemas would send the rows of the next ones elsewhere.

    Args:
        connection: the connection, as the group has made it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found = self._state()

    def check(self) -> None:
        """Check that it is as it was.

        Raises:
            LeavesGroup: a job has set options there, or listens to it.
        """
        if self._state() != self._found:
            raise LeavesGroup("left something behind on its connection")

    def _state(self) -> tuple[object, int]:
        listeners = (len(getattr(self._connection.dispatch, name)) for name in _OF_CONNECTION)
        return self._connection.get_execution_options(), sum(listeners)


def check_transaction(shared: Shared) -> None:
    """Check that the group's transaction is still open: a job may have ended it and swallowed the error.

    Raises:
        LeavesGroup: it was ended, or nothing but its end is possible.
    """
    if not shared.is_in_transaction:
        raise LeavesGroup("ended the transaction")
