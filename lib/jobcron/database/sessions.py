"""Find the session to use: the running job's, a test's, the caller's, or the application's own."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import InstanceState, Session, scoped_session
from sqlalchemy.orm.attributes import instance_state

from jobcron.database._freshness.keeping import WRITTEN as WRITTEN
from jobcron.database._freshness.keeping import keep_fresh
from jobcron.database._freshness.keeping import note_values as note_values
from jobcron.errors import NoSession, WrongSession

AnySession = Session | scoped_session[Any]
"""A session, or a ``scoped_session`` that stands for one."""

# What jobcron keeps in `Session.info`, by key.

ATTEMPT = "jobcron_attempt"
"""The attempt that works in the session, or None."""

ACTIONS = "jobcron_after_commit"
"""The actions that wait for the session's commit: see `after_commit`."""

ON_FAILED_ACTION = "jobcron_on_failed_action"
"""Called with the error of such an action; otherwise the error is raised from the commit."""

OWNER = "jobcron_owner"
"""The thread that may use the session, and its purpose."""

NESTED_CHANGES = "jobcron_nested_changes"
"""Called to find the changes inside the values of rows, if the session has rows with such values."""

_session: ContextVar[Session | None] = ContextVar("jobcron_session", default=None)


@contextmanager
def use_session(session: Session) -> Iterator[Session]:
    """Use this session by default, if no other is given, until the end of the block."""
    with working_in(session):
        yield session


class working_in:
    """The same as `use_session`, but no generator, since each job enters one.

    Args:
        session: the session.
    """

    def __init__(self, session: Session) -> None:
        self._used = session

    def __enter__(self) -> None:
        self._token = _session.set(self._used)

    def __exit__(self, *error: object) -> None:
        _session.reset(self._token)


def ambient_session() -> Session | None:
    """Return the session that `use_session` set, or None."""
    return _session.get()


def session_for(*candidates: AnySession | None) -> Session:
    """Return the first session among the candidates, else the ambient one.

    Args:
        candidates: sessions, or ``scoped_session``s such as Flask-SQLAlchemy's ``db.session``; None is passed
            over.

    Raises:
        NoSession: there is none, or a candidate is not a session.
    """
    for candidate in (*candidates, _session.get()):
        if isinstance(candidate, scoped_session):
            candidate = candidate()
        if isinstance(candidate, Session):
            return candidate
        if candidate is not None:
            raise NoSession(
                f"expected session to be a Session of SQLAlchemy's, got {type(candidate).__name__} (of an "
                "AsyncSession, run_sync gives the Session)"
            )
    raise NoSession(
        "expected a database session, found none: pass session=…, give a target that is in a session, "
        "or call this inside jobcron.testing.use_session(session)"
    )


@contextmanager
def share_session(scoped: scoped_session[Any]) -> Iterator[Session]:
    """Make a ``scoped_session``, such as Flask-SQLAlchemy's ``db.session``, use the running job's session.

    Inside the block, application code that uses the ``scoped_session`` works in the job's transaction. Use this in
    the context manager that the application puts around each job. The job's session stays open after the block:
    its work is committed afterwards, together with the job's status.

    Raises:
        NoSession: no job is running here, or the session was removed inside the block.
    """
    session = current_session()
    scoped.remove()
    scoped.registry.set(session)
    try:
        yield session
        if not scoped.registry.has() or scoped.registry() is not session:
            raise NoSession(
                "expected the shared session to be the job's own until the job ends, it was removed: what the job "
                "wrote before that is lost, so the job must not call remove()"
            )
    finally:
        if scoped.registry.has() and scoped.registry() is not session:
            scoped.remove()
        scoped.registry.clear()


def current_session() -> Session:
    """Return the session of the running job, of the running source, or of the test.

    Raises:
        NoSession: no job, source or test has set one here.
    """
    return session_for()


class OwnedSession(Session):
    """A session that only its owner's thread may use, until the owner gives it up.

    Every statement asks for the session's bind, so this is where another thread is refused.
    """

    def own(self, what: str) -> None:
        """Allow only this thread to use the session.

        Args:
            what: the session's purpose, for messages: ``DoFooJob (ID 7)``.
        """
        self.info[OWNER] = (get_ident(), what)

    @property
    def is_ours(self) -> bool:
        """Whether this thread may use the session."""
        owner = self.info.get(OWNER)
        return owner is None or owner[0] == get_ident()

    def give_up(self) -> None:
        """Close the session for good: any later use raises an error."""
        _, what = self.info.get(OWNER, (0, ""))
        self.close()
        self.info[OWNER] = (None, what)

    def flush(self, objects: Sequence[object] | None = None) -> None:
        """Write what has changed, also inside the values of rows, which SQLAlchemy does not notice."""
        self._find_nested_changes()
        super().flush(objects)

    def commit(self) -> None:
        """Write what has changed, also inside the values of rows, and commit."""
        self._find_nested_changes()
        super().commit()

    def rollback(self) -> None:
        """Undo what has changed, also inside the values of rows, and where no transaction had begun yet."""
        self._find_nested_changes()
        super().rollback()

    def _find_nested_changes(self) -> None:
        find: Callable[[], None] | None = self.info.get(NESTED_CHANGES)
        if find is not None:
            find()

    def get_bind(self, *arguments: Any, **options: Any) -> Engine | Connection:
        """Return the engine or connection for a statement.

        Raises:
            WrongSession: the session belongs to another thread, or its job has ended.
        """
        _refuse_strangers(self)
        return super().get_bind(*arguments, **options)


def adopt(session: Session, rows: Iterable[object]) -> None:
    """Make objects that were loaded, and are in no session, those of a session, as its own query would.

    Unlike by `Session.add`, no transaction begins, and nobody is told of anything.

    Args:
        session: it has no other objects of the same rows.
        rows: the objects, with all that they refer to and that is in no session either. One that is not in the
            database yet, as whoever is told of loaded objects may make one, is added in the usual way.
    """
    for row in rows:
        state: InstanceState[object] = instance_state(row)
        if state.key is None:
            session.add(row)
        else:
            session.identity_map.add(state)
            state.session_id = session.hash_key


def may_write_at_commit(session: Session) -> bool:
    """Return whether code of the application may write in a session while it is being committed."""
    has_hooks = getattr(session, "has_commit_hooks", None)  # a session of `jobcron.database.zope`
    return bool(session.dispatch.before_commit) or (has_hooks is not None and has_hooks())


def is_untouched(session: Session) -> bool:
    """Return whether a session has begun no transaction, and nobody but us listens to its transactions.

    Not even a change of an object is then waiting to be written.
    """
    if session.in_transaction() or getattr(session, "has_commit_hooks", None) is not None:
        return False
    heard = session.dispatch
    listeners = (*heard.before_commit, *heard.after_begin, *heard.after_commit)
    return all(_is_ours(listener) for listener in listeners)


def _is_ours(listener: object) -> bool:
    """Return whether a listener is of this package; a built-in one, such as a list's method, has no module."""
    module: str | None = getattr(listener, "__module__", None)  # any object: whatever an application listens with
    return (module or "").startswith("jobcron.")


def is_heard(session: Session) -> bool:
    """Return whether code of the application takes part in transactions of jobs' sessions, or in what they read.

    Args:
        session: one of a run, on which nothing listens but this package.
    """
    if getattr(session, "has_commit_hooks", None) is not None:
        return True
    heard = session.dispatch
    listeners = (*heard.before_commit, *heard.after_begin, *heard.after_commit, *heard.do_orm_execute)
    return not all(_is_ours(listener) for listener in listeners)


def hears_commits(session: Session) -> bool:
    """Return whether code of the application hears of the commits of jobs' sessions, or writes in them.

    Args:
        session: one of a run, on which nothing listens but this package.
    """
    return may_write_at_commit(session) or len(list(session.dispatch.after_commit)) > 1  # `keep_fresh` does


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
    """Create the class of jobs' sessions, one for each database: a run listens only to its own.

    Args:
        base: the session class that the application's transactions need: see `jobcron.database.zope`.
    """
    made = type("JobSession", (OwnedSession, base), {})
    keep_fresh(made)
    event.listen(made, "before_attach", _refuse_strangers, raw=True)  # else SQLAlchemy would wrap it
    return made
