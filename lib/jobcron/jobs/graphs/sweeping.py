"""Release what no trigger has released: an idempotent sweep over the jobs that are BLOCKED.

There is nothing for it to do unless somebody wrote edges by hand, or ended two last predecessors at once in
transactions that do not see each other's end (REPEATABLE READ). It also ends BLOCKED jobs that have expired.
"""

from __future__ import annotations

import logging
import random

from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from jobcron.database.clock import database_now
from jobcron.database.database import TransactionSource
from jobcron.database.statements import among
from jobcron.database.tables import EdgeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, record_all
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.lease import Claim
from jobcron.jobs.moves.edges import lock_successors, release_free, waits_for_nothing
from jobcron.jobs.status import BLOCKED, COMPLETED, ENDED, ended
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.plurals import counted

LOOKED_AT = 1000
"""The most BLOCKED jobs that one sweep releases, ends, and looks at for edges that somebody else wrote.

All of them are searched for those that are to be released or ended. Whether marks are right only the rows of the
predecessors say: if there are more jobs, each sweep begins to look there at another one.
"""


def sweep(database: TransactionSource, logger: logging.Logger) -> None:
    """Release the jobs that wait for nothing any more, and end those that have expired; log how many."""
    with database.begin(writing=False) as connection:
        if connection.scalar(select(Job.id).where(has_status(BLOCKED)).limit(1)) is None:
            return
    with database.begin() as connection:
        released, expired = sweep_once(connection)
    if released:
        logger.warning(
            "Released %s whose predecessors had ended without releasing them.",
            counted(released, "job"),
            extra=NO_OOPS,
        )
    if expired:
        logger.info("%s expired while waiting for others.", counted(expired, "job"))


def sweep_once(connection: Connection, limit: int = LOOKED_AT) -> tuple[int, int]:
    """Release and end BLOCKED jobs, in the caller's transaction; return how many were released, and ended.

    Args:
        connection: in a transaction that writes.
        limit: the most jobs that are released, ended, and looked at for wrong marks.
    """
    expired = _expire(connection, limit)  # first: it waits for locks
    looked_at = _some_blocked(connection, limit)
    if not looked_at:
        return 0, expired
    mine = among(EdgeRow.successor_id, looked_at)
    predecessor = aliased(Job)
    has_ended = exists().where(
        predecessor.id == EdgeRow.predecessor_id,
        or_(predecessor._status == COMPLETED, EdgeRow.any_end & predecessor._status.in_(ENDED)),
    )
    connection.execute(update(EdgeRow).where(mine, ~EdgeRow.is_met, has_ended).values(is_met=True))
    _note_successors(connection, looked_at)
    return release_free(connection, list(connection.scalars(_blocked(limit, waits_for_nothing())))), expired


def _blocked(limit: int, *conditions: ColumnElement[bool]) -> Select[int]:
    """Return the query that locks BLOCKED jobs and has their numbers; it passes over those that others hold."""
    blocked = select(Job.id).where(has_status(BLOCKED), *conditions).order_by(Job.id).limit(limit)
    return blocked.with_for_update(key_share=True, skip_locked=True)


def _some_blocked(connection: Connection, limit: int) -> list[int]:
    """Return the numbers of BLOCKED jobs, locked: all of them, or some."""
    found = list(connection.scalars(_blocked(limit)))
    if len(found) < limit:
        return found
    newest = connection.scalar(select(func.max(Job.id)).where(has_status(BLOCKED))) or found[-1]
    start = random.randint(found[0], newest)  # no secret
    return [*connection.scalars(_blocked(limit, Job.id >= start))]


def _note_successors(connection: Connection, looked_at: list[int]) -> None:
    """Note on the rows of predecessors that others wait for them, where whoever wrote the edges did not."""
    waited_for = select(EdgeRow.predecessor_id).where(among(EdgeRow.successor_id, looked_at), ~EdgeRow.is_met)
    unaware = select(Job.id).where(Job.id.in_(waited_for), ~Job.has_successors).order_by(Job.id)
    numbers = list(connection.scalars(unaware.with_for_update(key_share=True, skip_locked=True)))
    if numbers:
        connection.execute(update(Job).where(among(Job.id, numbers)).values(has_successors=True))


def _expire(connection: Connection, limit: int) -> int:
    is_over = (Job.begun_token == 0, Job.expires_at <= database_now())
    found = select(Job.id).where(has_status(BLOCKED), *is_over).order_by(Job.id).limit(limit)
    over = list(connection.scalars(found))
    if not over:
        return 0
    lock_successors(connection, over, (BLOCKED,))
    over = list(connection.scalars(_blocked(limit, among(Job.id, over), *is_over)))
    values = {getattr(Job, name): value for name, value in ended().items()}
    gone = connection.execute(
        update(Job)
        .where(among(Job.id, over))
        .values({**values, Job._status: JobStatus.EXPIRED})
        .returning(Job.id, Job.lease_token)
    )
    claims = [Claim(number, token) for number, token in gone]
    if claims:
        record_all(connection, claims, EventKind.EXPIRED, None)
    return len(claims)
