"""The fence: no commit of an attempt that lost its lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from jobcron.database.sessions import ATTEMPT
from jobcron.database.statements import execute
from jobcron.database.trouble import interruption_of
from jobcron.jobs.lease import Claim, lost


class Fenced(Protocol):
    """What the fence knows of an attempt.

    Attributes:
        claim: what it holds.
        parameters: those of every fenced statement.
        finishing: whether its last statement, which was fenced itself, is done.
        connection: that of its last transaction.
        trouble: the error with which the database first interrupted the transaction that is open.
    """

    claim: Claim
    finishing: bool
    connection: Connection | None
    trouble: BaseException | None

    @property
    def parameters(self) -> dict[str, Any]: ...


@contextmanager
def fenced(session: Session) -> Iterator[None]:
    """Let what this session does be committed only while the job that runs in it is still ours, inside the block.

    Every COMMIT that SQLAlchemy sends on its connection passes the fence, the session's own or not, from the job's
    first statement in the transaction on: a job begins with no transaction open. One that is
    sent as raw SQL passes none; the end of a savepoint needs none, nothing is committed by it. In a test's own
    transaction nothing is committed at all.
    """
    bind = session.get_bind()

    def note_connection(session: Session, transaction: object, connection: Connection) -> None:
        attempt: Fenced | None = session.info.get(ATTEMPT)
        is_ours = connection.engine.pool is bind.engine.pool  # a job may lead the session to another database
        if attempt is not None and is_ours:
            attempt.connection, attempt.trouble = connection, None

    def check(connection: Connection) -> None:
        attempt: Fenced | None = session.info.get(ATTEMPT)
        # `finishing`: the last statement was itself fenced, and the row is no longer RUNNING.
        if attempt is None or attempt.finishing or attempt.connection is not connection:
            return
        try:
            check_fence(connection, attempt)
        except BaseException:
            # SQLAlchemy takes a transaction whose commit event raises for over, and rolls nothing back.
            with suppress(Exception):
                connection.connection.rollback()
            raise

    def note_trouble(context: ExceptionContext) -> None:
        attempt: Fenced | None = session.info.get(ATTEMPT)
        error = context.sqlalchemy_exception
        if attempt is None or error is None or context.connection is not attempt.connection:
            return
        if attempt.trouble is None and interruption_of(error) is not None:
            attempt.trouble = error

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


def check_fence(connection: Connection, attempt: Fenced) -> None:
    """Lock the job's row, which has to be ours still.

    Raises:
        LeaseLost: it is not.
    """
    if execute(connection, "fence", attempt.parameters).first() is None:
        raise lost(attempt.claim)
