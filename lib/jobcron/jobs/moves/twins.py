"""Twins: jobs of a type that have the same unique key.

An unstarted job holds its key, until it begins or can start no more. A job that has begun and waits again has none
to hold: what was acquired meanwhile has to see what happened meanwhile, so both run, in order. Only if another one
certainly does the same work, no later, the job that has begun is superseded by it.
"""

# why: decisions 2026-11-29, a job that has begun gives its key free

from __future__ import annotations

import json

from sqlalchemy import Connection, Row, Select, and_, func, inspect, literal, not_, or_, select, update
from sqlalchemy.orm import aliased

from jobcron.database.clock import database_after, database_now
from jobcron.database.statements import among
from jobcron.database.tables import JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, record_all
from jobcron.jobs.job import Job, can_hold_key, has_status
from jobcron.jobs.lease import Claim
from jobcron.jobs.registry import SourceClass, registered
from jobcron.jobs.status import BLOCKED, WAITING

Document = dict[str, object]

Found = tuple[int, bool, bool, str, Document, Document, Document | None, Document | None]


def end_expired_holders(connection: Connection, type_name: str, keys: list[str]) -> bool:
    """Move jobs that hold unique keys and have expired to EXPIRED; return whether there were any.

    Args:
        connection: of the caller's transaction.
        type_name: the name of the jobs' type.
        keys: the keys that are wanted.
    """
    number = select(JobTypeRow.id).where(JobTypeRow.name == type_name).scalar_subquery()
    held = and_(Job.type_id == number, among(Job.unique_key, keys), can_hold_key())
    over = and_(Job._status.in_((WAITING, BLOCKED)), Job.begun_token == 0, Job.expires_at <= database_now())
    ended = connection.execute(
        update(Job)
        .where(held, over)
        .values({Job._status: JobStatus.EXPIRED, Job.date_finished: database_now(), Job.lease_expires: None})
        .returning(Job.id, Job.lease_token)
    )
    claims = [Claim(job, token) for job, token in ended]
    if claims:
        record_all(connection, claims, EventKind.EXPIRED, None)
    return bool(claims)


def twins_of(
    connection: Connection, claim: Claim, delay: float | None, *, is_locking: bool = True
) -> tuple[int | None, bool]:
    """Return the twin that supersedes a job of ours, and whether another job holds its key.

    Args:
        connection: of the transaction in which the job's end is written; the twin stays as it is until it ends.
        claim: our claim on a job, which is RUNNING and is to wait again.
        delay: seconds until it may run again; None: now.
        is_locking: whether the twin is locked, so that it stays as it is; not for whoever only looks.
    """
    rows: list[Row[Found]] = list(connection.execute(_twins(claim, delay)))
    has_holder = any(row.is_holder for row in rows)
    if any(row.is_sure for row in rows):
        locked = {row.id for row in rows if row.is_sure and (not is_locking or _stays(connection, row.id))}
        # Again, now that nobody can change them: somebody may have, since they were read.
        for row in connection.execute(_twins(claim, delay)) if locked else ():
            if row.id in locked and row.is_sure and _is_same_work(connection, claim, row):
                return row.id, has_holder
    return None, has_holder


def _twins(claim: Claim, delay: float | None) -> Select[Found]:
    """Return the query for the twins of a job of ours, in the order in which they start.

    One that is sure will run, and no later than ours would: it waits, without an expiry that could end it,
    nobody has its lease, and no process has died of it. Ours has committed nothing by a checkpoint, now or before.
    """
    mine = aliased(Job)
    now = database_now()
    then = now if delay is None else database_after(literal(delay))
    is_sure = and_(
        Job._status == WAITING,
        Job.priority <= mine.priority,
        Job.scheduled_start <= then,
        or_(Job.expires_at.is_(None), Job.begun_token > 0),
        or_(Job.lease_expires.is_(None), Job.lease_expires <= now),
        Job.crash_count == 0,
        Job.queue_name == mine.queue_name,
        func.coalesce(Job.target_type, "") == func.coalesce(mine.target_type, ""),
        func.coalesce(Job.target_id, "") == func.coalesce(mine.target_id, ""),
        func.coalesce(Job.target_mark, "") == func.coalesce(mine.target_mark, ""),
        mine.begun_token < mine.lease_token,
        not_(mine.has_committed),
    )
    is_holder = Job.begun_token == 0
    columns = (is_sure.label("is_sure"), is_holder.label("is_holder"), JobTypeRow.name)
    data = (Job.json_data.label("data"), mine.json_data.label("own_data"))
    steps = (Job.steps.label("steps"), mine.steps.label("own_steps"))
    return (
        select(Job.id, *columns, *data, *steps)
        .join(mine, and_(mine.type_id == Job.type_id, mine.unique_key == Job.unique_key, mine.id != Job.id))
        .join(JobTypeRow, JobTypeRow.id == Job.type_id)
        .where(mine.id == claim.id, can_hold_key())
        .order_by(Job.priority, Job.scheduled_start, Job.id)
    )


def _is_same_work(connection: Connection, claim: Claim, twin: Row[Found]) -> bool:
    """Return whether a twin has the same values as the job, which would begin from its top again."""
    source = registered().get(twin.name)
    if source is None:
        return False  # of a job without a class of ours nobody knows what it would do
    if _text(twin.data, twin.steps) != _text(twin.own_data, twin.own_steps):
        return False
    if source.goes_on(twin.own_data, twin.own_steps):
        return False
    ours, theirs = (_family_values(connection, source, number) for number in (claim.id, twin.id))
    return ours == theirs


def _text(*data: Document | None) -> str:
    return json.dumps(data, sort_keys=True, default=repr)


def _family_values(connection: Connection, source: SourceClass, number: int) -> tuple[object, ...]:
    """Return the values of a job in its family's table, but for its number."""
    family: type[object] = source.context_class
    if family is Job:
        return ()
    mapper = inspect(family)
    keys = {column.key for column in mapper.primary_key}
    columns = [a.class_attribute for a in mapper.column_attrs if a.columns[0].key not in keys]
    (number_column,) = mapper.primary_key
    row = connection.execute(select(number_column, *columns).where(number_column == number)).first()
    return () if row is None else tuple(row)[1:]


def _stays(connection: Connection, number: int) -> bool:
    """Lock a twin; return whether it waits still and nobody is about to move it."""
    waits = select(Job.id).where(Job.id == number, has_status(WAITING))
    return connection.scalar(waits.with_for_update(read=True, skip_locked=True)) is not None
