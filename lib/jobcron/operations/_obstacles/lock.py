"""Who holds the row of a job locked: claims pass such a row over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from jobcron.database.statements import among, execute
from jobcron.database.trouble import INSUFFICIENT_PRIVILEGE, Interruption, sqlstate_of, trouble_of
from jobcron.jobs.job import Job
from jobcron.operations.reasons import Cause, Reason, moment
from jobcron.runner.grouped.runs import group_runs_of

QUERY_LENGTH = 200


@dataclass(frozen=True)
class Locker:
    """A session that holds a row locked.

    Attributes:
        pid: the process of the server; None: unknown, such as a prepared transaction.
        user: its role.
        application: what it calls itself.
        address: from where it is connected.
        since: when its transaction began.
        state: what it is doing.
        query: its last statement.
        is_ours: whether it calls itself as this one does: it may be the session that runs the job.
        groups: the runs that run jobs of this type in groups, if it may be one of theirs.
    """

    pid: int | None
    user: str | None = None
    application: str | None = None
    address: str | None = None
    since: datetime | None = None
    state: str | None = None
    query: str | None = None
    is_ours: bool = False
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.pid is None:
            return "a transaction that the server does not name"
        parts = [f"process {self.pid} of the server"]
        parts += [f"role {self.user}"] if self.user else []
        parts += [str(self.application)] if self.application else []
        parts += [f"from {self.address}"] if self.address else []
        parts += [f"in a transaction since {moment(self.since)}"] if self.since else []
        parts += [str(self.state)] if self.state else []
        parts += [f"last statement: {' '.join(self.query.split())[:QUERY_LENGTH]}"] if self.query else []
        return ", ".join(parts)


@contextmanager
def _trying(connection: Connection) -> Iterator[None]:
    """Undo the block, and pass over that the role, or a standby, may not lock."""
    try:
        with connection.begin_nested() as savepoint:
            yield
            savepoint.rollback()
    except DBAPIError as error:
        may_not = sqlstate_of(error.orig) == INSUFFICIENT_PRIVILEGE
        if not may_not and trouble_of(error) is not Interruption.READ_ONLY:
            raise


def locker_of(connection: Connection, job_id: int) -> Locker | None:
    """Return who holds the row of a job locked, or None; SQLite has no locks of rows.

    It tries the lock that a claim takes, and gives it back at once. A role that may not lock is told of any lock
    of the row, and so is whoever looks at a standby, which takes no locks.
    """
    if connection.dialect.name != "postgresql":
        return None
    is_free: bool | None = None
    with _trying(connection):
        free = select(Job.id).where(Job.id == job_id).with_for_update(key_share=True, skip_locked=True)
        is_free = connection.execute(free).first() is not None
    if is_free:
        return None
    row = execute(connection, "locker", {"id": job_id}).first()
    if row is None or row[0] is None:
        return None if is_free is None else Locker(None)
    locker = Locker(*row)
    return replace(locker, groups=group_runs_of(connection, job_id)) if locker.is_ours else locker


def lockers_of(connection: Connection, job_ids: Sequence[int]) -> dict[int, Locker]:
    """Return who holds which of some rows locked; see `locker_of`."""
    if connection.dialect.name != "postgresql" or not job_ids:
        return {}
    free: set[int] = set()
    with _trying(connection):
        wanted = select(Job.id).where(among(Job.id, job_ids)).with_for_update(key_share=True, skip_locked=True)
        free.update(connection.scalars(wanted))
    found = ((number, locker_of(connection, number)) for number in job_ids if number not in free)
    return {number: locker for number, locker in found if locker is not None}


def locked(locker: Locker, *, is_running: bool) -> Iterator[Reason]:
    """Yield that a row is locked; but not that a running job's own transaction has it."""
    if not is_running and locker.groups:
        names = " or ".join(locker.groups)
        text = f"it runs in a group of the run {names}, which holds its row locked: {locker}"
        yield Reason(Cause.LOCKED, text, "wait: a group takes a fraction of a second")
    elif not is_running:
        text = f"its row is locked by another session, and claims pass it over: {locker}"
        yield Reason(Cause.LOCKED, text, "end that transaction")
    elif not locker.is_ours:
        text = f"its row is locked by another session, and its end has to wait: {locker}"
        yield Reason(Cause.LOCKED, text, "end that transaction", is_blocking=False)
