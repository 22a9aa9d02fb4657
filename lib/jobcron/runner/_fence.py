"""The fence: an attempt that has lost its lease commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum, auto
from typing import Protocol

from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.database.sessions import ATTEMPT
from jobcron.database.statements import execute
from jobcron.jobs.lease import Claim, lost


class Commit(Enum):
    """The state of the COMMIT of a job's work."""

    NOT_TRIED = auto()
    UNDER_WAY = auto()
    """The last statement, which was fenced itself, is done: this COMMIT passes no fence."""
    TRIED = auto()
    """The COMMIT returned or raised; now the row is decisive. Any later COMMIT passes the fence again."""
    WRITTEN = auto()
    """The job's outcome is in the database."""


class Fenced(Protocol):
    """An attempt, as the fence sees it."""

    @property
    def claim(self) -> Claim:
        """The attempt's claim."""

    @property
    def parameters(self) -> Mapping[str, object]:
        """The parameters of every fenced statement."""

    def steps(self, connection: Connection, *, is_end: bool) -> object:
        """Return a parameter: the unwritten progress and workspace of a job of several tasks; None: no change."""

    def needs_fence(self, connection: Connection) -> bool:
        """Return whether a COMMIT on this connection commits the job's work and is not yet fenced."""

    def has_deleted_its_row(self, connection: Connection) -> bool:
        """Return whether the job deleted its own row."""

    def transaction_began(self, connection: Connection) -> None:
        """Record the connection of the job's transaction."""

    def transaction_failed(self, connection: Connection | None, error: BaseException) -> None:
        """Record the first trouble of the database in the job's transaction."""


@contextmanager
def fenced(database: TransactionSource, current: Callable[[], Fenced | None]) -> Iterator[None]:
    """Inside the block, refuse every COMMIT of a job's work once the attempt has lost the job.

    Every COMMIT that SQLAlchemy sends on the connection of the job's session passes the fence, the session's
    own or not, from the job's first statement in the transaction on: a job begins with no open transaction. A
    COMMIT sent as raw SQL does not pass it. The end of a savepoint needs no fence, because it commits nothing.
    In a test's own transaction nothing is committed at all.

    Args:
        database: the database in whose sessions jobs work.
        current: returns the running attempt, or None between attempts.
    """
    engine, session_class = database.engine, database.session_class

    def check(connection: Connection) -> None:
        attempt = current()
        # After COMPLETED, which was fenced itself, the row is no longer RUNNING.
        # why: decisions 2026-11-25, the fence is passed by the connection's commits
        if attempt is not None and attempt.needs_fence(connection):
            _pass_or_roll_back(connection, attempt)

    def note_trouble(context: ExceptionContext) -> None:
        attempt, error = current(), context.sqlalchemy_exception
        if attempt is not None and error is not None:
            attempt.transaction_failed(context.connection, error)

    listeners: list[tuple[object, str, Callable[..., None]]] = [(session_class, "after_begin", _note_connection)]
    if engine is not None:
        listeners += [(engine, "commit", check), (engine, "handle_error", note_trouble)]
    for listener in listeners:
        event.listen(*listener)
    try:
        yield
    finally:
        for listener in listeners:
            event.remove(*listener)


def _note_connection(session: Session, transaction: object, connection: Connection) -> None:
    attempt: Fenced | None = session.info.get(ATTEMPT)
    # A job may bind the session to another database.
    if attempt is not None and connection.engine.pool is session.get_bind().engine.pool:
        attempt.transaction_began(connection)


def _pass_or_roll_back(connection: Connection, attempt: Fenced) -> None:
    try:
        check_fence(connection, attempt)
    except BaseException:
        # If its commit event raises, SQLAlchemy considers the transaction over, and rolls nothing back.
        with suppress(Exception):
            connection.connection.rollback()
        raise


def check_fence(connection: Connection, attempt: Fenced) -> None:
    """Lock the job's row and check that the attempt still holds it, unless the job itself deleted the row.

    What a job of several tasks keeps there is written at once: work is never committed without its progress.

    Raises:
        LeaseLost: it is no longer ours.
    """
    steps = attempt.steps(connection, is_end=False)
    if steps is None:
        is_ours = execute(connection, "fence", attempt.parameters).first() is not None
    else:
        is_ours = execute(connection, "keep_steps", {**attempt.parameters, "steps": steps}).rowcount == 1
    if not is_ours and not attempt.has_deleted_its_row(connection):
        raise lost(attempt.claim)
