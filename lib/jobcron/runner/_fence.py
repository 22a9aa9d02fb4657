"""The fence: no commit of an attempt that lost its lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from jobcron.database.sessions import ATTEMPT
from jobcron.database.statements import execute
from jobcron.jobs.lease import Claim, lost


class Fenced(Protocol):
    """What the fence knows of an attempt."""

    @property
    def claim(self) -> Claim:
        """What it holds."""

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of every fenced statement."""

    def needs_fence(self, connection: Connection) -> bool:
        """Tell whether a COMMIT on this connection commits the job's work, and is not fenced already."""

    def transaction_began(self, connection: Connection) -> None:
        """Note the connection of the job's transaction."""

    def transaction_failed(self, connection: Connection | None, error: BaseException) -> None:
        """Note the first trouble of the database in the job's transaction."""


@contextmanager
def fenced(session: Session) -> Iterator[None]:
    """Refuse every COMMIT of this session's work once the job that runs in it is not ours, inside the block.

    Every COMMIT that SQLAlchemy sends on its connection passes the fence, the session's own or not, from the job's
    first statement in the transaction on: a job begins with no transaction open. A COMMIT that is sent as raw SQL
    passes none. The end of a savepoint needs none, since nothing is committed by it. In a test's own transaction
    nothing is committed at all.
    """
    bind = session.get_bind()

    def note_connection(session: Session, transaction: object, connection: Connection) -> None:
        attempt: Fenced | None = session.info.get(ATTEMPT)
        is_ours = connection.engine.pool is bind.engine.pool  # a job may lead the session to another database
        if attempt is not None and is_ours:
            attempt.transaction_began(connection)

    def check(connection: Connection) -> None:
        attempt: Fenced | None = session.info.get(ATTEMPT)
        # After COMPLETED, which was fenced itself, the row is no longer RUNNING.
        if attempt is None or not attempt.needs_fence(connection):
            return
        _pass_or_roll_back(connection, attempt)

    def note_trouble(context: ExceptionContext) -> None:
        attempt: Fenced | None = session.info.get(ATTEMPT)
        error = context.sqlalchemy_exception
        if attempt is not None and error is not None:
            attempt.transaction_failed(context.connection, error)

    event.listen(session, "after_begin", note_connection)
    if not isinstance(bind, Engine):
        yield
        return
    event.listen(bind, "commit", check)
    event.listen(bind, "handle_error", note_trouble)
    try:
        yield
    finally:
        event.remove(bind, "commit", check)
        event.remove(bind, "handle_error", note_trouble)


def _pass_or_roll_back(connection: Connection, attempt: Fenced) -> None:
    try:
        check_fence(connection, attempt)
    except BaseException:
        # SQLAlchemy takes a transaction whose commit event raises for over, and rolls nothing back.
        with suppress(Exception):
            connection.connection.rollback()
        raise


def check_fence(connection: Connection, attempt: Fenced) -> None:
    """Lock the job's row, which has to be ours still.

    Raises:
        LeaseLost: it is not.
    """
    if execute(connection, "fence", attempt.parameters).first() is None:
        raise lost(attempt.claim)
