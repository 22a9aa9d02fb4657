"""The sessions of the jobs of a group: each job has a session of its own, and all work in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, object_session
from sqlalchemy.orm.attributes import set_committed_value

from jobcron.database.database import TransactionSource
from jobcron.database.sessions import ATTEMPT, WRITTEN, OwnedSession
from jobcron.errors import LeavesGroup
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.runner.grouped._attempt import GroupedAttempt
from jobcron.runner.grouped._claims import Locked, Taken

GROUP = "jobcron_group"
"""The key in a session's ``info`` of the group to whose transaction it belongs."""

_MADE = "jobcron_made"
"""The key in a session's ``info`` of its attributes, as they were when it was opened."""

_OWN_KEYS = frozenset({GROUP, _MADE, WRITTEN, ATTEMPT, "jobcron_owner", "jobcron_freshness"})


class Members:
    """The jobs of a group, by their numbers, as their sessions see them.

    Args:
        locked: the jobs.
        name: the name under which the run claims.
    """

    def __init__(self, locked: Locked, name: str) -> None:
        self._taken = {taken.claim.id: taken for taken in locked.jobs}
        self._started, self._name = locked.moment, name

    def show_running(self, row: Job, session: Session) -> None:
        """Show the row of a job as it would be if the job had been claimed in the usual way.

        Raises:
            LeavesGroup: another job of the group reads it.
        """
        taken = self._taken.get(row.id)
        if taken is None:
            return
        attempt: GroupedAttempt | None = session.info.get(ATTEMPT)
        if attempt is not None and attempt.claim.id != row.id:
            attempt.breach = f"read the row of job {row.id}, which is in the same group"
            raise LeavesGroup(attempt.breach)
        for name, value in self._values(taken).items():
            set_committed_value(row, name, value)

    def _values(self, taken: Taken) -> dict[str, object]:
        return {
            "_status": JobStatus.RUNNING,
            "lease_token": taken.claim.token,
            "attempt_count": taken.attempts,
            "date_started": self._started,
            "date_finished": None,
            "claimed_by": self._name,
            "_progress": None,
        }


class GroupSessions:
    """Makes the sessions of jobs that share a transaction; for one run, see `close`.

    Args:
        database: the database of the jobs.
    """

    def __init__(self, database: TransactionSource) -> None:
        self._class: type[OwnedSession] = type("GroupSession", (database.session_class,), {})
        event.listen(self._class, "before_commit", _refuse_commit)
        self._listeners: list[tuple[object, str, Callable[..., None]]] = [
            (Job, "load", _show),
            (Job, "refresh", _show),
        ]
        for listener in self._listeners:
            event.listen(*listener)

    def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners:
            event.remove(*listener)

    def open(self, connection: Connection, members: Members, written: set[object]) -> OwnedSession:
        """Return a new session in a transaction.

        Args:
            connection: of the transaction; no end of the session ends it.
            members: the jobs that share it.
            written: gets the identities of the rows that are written.
        """
        session = self._class(connection, expire_on_commit=False, join_transaction_mode="rollback_only")
        session.info[GROUP], session.info[WRITTEN] = members, written
        session.info[_MADE] = tuple(vars(session).values())
        return session


def is_untouched(session: Session) -> bool:
    """Return whether a session is as it was opened: another job may have it."""
    if session.in_transaction() or len(session.identity_map) or session.new:
        return False
    # A job may have set ``autoflush``, for example. Most are the same objects, so comparing them takes no time.
    return session.info.keys() <= _OWN_KEYS and tuple(vars(session).values()) == session.info[_MADE]


def _refuse_commit(session: Session) -> None:
    attempt: GroupedAttempt | None = session.info.get(ATTEMPT)
    if attempt is not None and session.get_nested_transaction() is None:
        attempt.committed()


def _show(row: Job, *context: object) -> None:
    session = object_session(row)
    members: Members | None = None if session is None else session.info.get(GROUP)
    if session is not None and members is not None:
        members.show_running(row, session)
