"""The statements for a group of jobs: take the jobs, complete them, and find out whether they were committed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.retry import retry_in_transaction
from jobcron.database.statements import be_brief, execute
from jobcron.errors import DatabaseUnavailable
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import Claimant
from jobcron.queue.finish import SETTLE_SECONDS


class Taken(NamedTuple):
    """A job of a group, whose row is locked.

    Attributes:
        claim: its number, and the token of the attempt.
        uuid: its UUID, as text.
        attempts: the number of the attempt.
        waited: how many seconds it was ready.
        is_bare: whether its row names nothing that code may lack.
    """

    claim: Claim
    uuid: str
    attempts: int
    waited: float
    is_bare: bool


class Locked(NamedTuple):
    """What a transaction has locked.

    Attributes:
        jobs: in the order in which they should start; those before the first that runs by itself.
        started: when, by the database's clock, as its driver says it.
    """

    jobs: list[Taken]
    started: object

    @property
    def moment(self) -> datetime:
        """When the rows were locked."""
        if isinstance(self.started, datetime):
            return self.started.astimezone(UTC)
        return datetime.fromisoformat(str(self.started)).replace(tzinfo=UTC)


def take_group(connection: Connection, type_id: int, size: int, claimant: Claimant) -> Locked:
    """Lock up to `size` ready jobs of a type, for as long as the transaction lasts."""
    if not claimant.may_take(connection):
        return Locked([], None)
    parameters = {"type": type_id, "batch": size, "section": claimant.section}
    rows = execute(connection, "take_group", parameters).all()
    jobs = []
    for row in rows:
        if row.is_alone:
            break
        uuid = row.uuid if "-" in row.uuid else str(UUID(row.uuid))  # SQLite has it without hyphens
        jobs.append(Taken(Claim(row.id, row.token), uuid, row.attempts, row.waited, bool(row.is_bare)))
    return Locked(jobs, rows[0].started if rows else None)


def complete_group(
    connection: Connection, ids: Sequence[int], started: object, name: str, progress: dict[int, int]
) -> bool:
    """Complete the jobs of a group that have run; return False if one of them has changed since it was locked.

    Args:
        connection: of the transaction in which they were locked and have run.
        ids: their numbers.
        started: see `Locked`.
        name: the name under which the run claims.
        progress: what jobs told of their progress, by their numbers.
    """
    numbers = json.dumps(ids) if connection.dialect.name == "sqlite" else list(ids)
    parameters = {"ids": numbers, "started": started, "claimed_by": name}
    if execute(connection, "complete_group", parameters).rowcount != len(ids):
        return False
    if progress:
        rows = [{"id": number, "progress": percent} for number, percent in progress.items()]
        execute(connection, "group_progress", rows)
    return True


def is_committed(database: TransactionSource, claim: Claim, name: str) -> bool:
    """Return whether a group whose COMMIT got no answer was committed, judging by one of its jobs.

    Reading is not enough: the COMMIT may still be on its way. The lock waits a while for its end. If that does not
    come, nobody else can lock the rows either, and the jobs are completed or run again.
    """
    known = select(Job._status, Job.lease_token, Job.claimed_by).where(Job.id == claim.id)

    def look(connection: Connection) -> bool:
        be_brief(connection, SETTLE_SECONDS)
        row = connection.execute(known.with_for_update(key_share=True)).first()
        return row is not None and tuple(row) == (JobStatus.COMPLETED, claim.token, name)

    with suppress(DBAPIError, DatabaseUnavailable):
        return retry_in_transaction(database, str(claim), look)
    return False
