"""The sessions of a run: one in which jobs are claimed and loaded, and one for each attempt.

A job's session dies with its attempt. Whatever the job has left in it, by mistake or in a thread that still runs,
is then in nobody's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobcron.database.database import TransactionSource
from jobcron.database.job_session import OwnedSession
from jobcron.database.sessions import ATTEMPT, ON_FAILED_ACTION
from jobcron.queue.loading import Claimed, Objects
from jobcron.runner._fence import Fenced


class JobSessions:
    """Opens the sessions of a run.

    Args:
        database: where the jobs are.
        on_failed_action: told of errors of actions after a commit.

    Attributes:
        shared: in which jobs are claimed and loaded. Jobs that a source finds in its own way work in it as well:
            nobody else knows what their objects are.
    """

    def __init__(self, database: TransactionSource, on_failed_action: Callable[[BaseException], None]) -> None:
        self._database = database
        self._on_failed_action = on_failed_action
        self.shared = self._open()
        self._current = self.shared

    def attempt(self) -> Fenced | None:
        """Return the attempt that runs, or None between attempts."""
        attempt: Fenced | None = self._current.info.get(ATTEMPT)
        return attempt

    @contextmanager
    def of(self, claimed: Claimed) -> Iterator[OwnedSession]:
        """Open the session of an attempt, with the job's objects in it, and close it for good at the end."""
        if claimed.objects is Objects.SHARED:
            yield self.shared
            return
        session = self._current = self._open()
        session.own(f"{claimed.job.class_name} (ID {claimed.claim.id})")
        rows = claimed.job.rows()  # held to the end: the session itself holds them weakly
        try:
            if claimed.objects is Objects.OWN:
                session.add_all(rows)
                session.commit()  # nothing is asked of the database; the job begins with no transaction open
            yield session
        finally:
            self._current = self.shared
            session.give_up()

    def _open(self) -> OwnedSession:
        session = self._database.session()
        session.info[ON_FAILED_ACTION] = self._on_failed_action
        return session
