"""Sessions of jobs: each belongs to one attempt and one thread, and trusts no read of an earlier transaction."""

from __future__ import annotations

from _thread import get_ident
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from jobcron.database._freshness import keep_fresh
from jobcron.errors import WrongSession

OWNER = "jobcron_owner"
"""The key of a session's info under which the thread is that may use it, and for what."""


class OwnedSession(Session):
    """A session that only its owner's thread may use, until the owner gives it up.

    Every statement asks for the session's bind, whatever sends it; so that is where a stranger is refused.
    """

    def own(self, what: str) -> None:
        """Make this thread the only one that may use the session.

        Args:
            what: it is used for, for messages: ``DoFooJob (ID 7)``.
        """
        self.info[OWNER] = (get_ident(), what)

    def give_up(self) -> None:
        """Close the session for good: whoever still has it cannot use it any more."""
        _, what = self.info.get(OWNER, (0, ""))
        self.close()
        self.info[OWNER] = (None, what)

    def get_bind(self, *arguments: Any, **options: Any) -> Engine | Connection:
        """Return where a statement goes.

        Raises:
            WrongSession: the session is another thread's, or its job has ended.
        """
        _refuse_strangers(self)
        return super().get_bind(*arguments, **options)


def _refuse_strangers(session: Session, instance: object = None) -> None:
    owner = session.info.get(OWNER)
    if owner is None or owner[0] == get_ident():
        return
    if owner[0] is None:
        raise WrongSession(
            f"expected the session of {owner[1]} to be used while the job runs, and the job has ended: what a "
            "thread that it left behind writes belongs to no job"
        )
    raise WrongSession(
        f"expected the session of {owner[1]} to be used by the thread that runs the job, got another thread: "
        "give it a session of its own"
    )


def job_session_class(base: type[Session]) -> type[OwnedSession]:
    """Make the class of the sessions of jobs; each database has one, so that a run can listen to its own.

    Args:
        base: what the application's transactions need: see `jobcron.database.zope`.
    """
    made = type("JobSession", (OwnedSession, base), {})
    keep_fresh(made)
    event.listen(made, "before_attach", _refuse_strangers)
    return made
