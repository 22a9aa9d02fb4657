"""Edges of graphs: conditions on them, and what becomes of them when jobs are moved."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    delete,
    exists,
    not_,
    select,
    update,
)
from sqlalchemy.orm import aliased

from jobcron.database.statements import among
from jobcron.database.tables import EdgeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, can_start, has_status
from jobcron.jobs.lease import Claim
from jobcron.jobs.status import PENDING, unmet_edges


def is_waited_for() -> ColumnElement[bool]:
    """Return the condition that a job that has not ended has this one as predecessor: it may read its result."""
    successor = aliased(Job)
    pending = successor._status.in_(PENDING)
    waits = exists().where(EdgeRow.predecessor_id == Job.id, successor.id == EdgeRow.successor_id, pending)
    return Job.has_successors & waits.correlate(Job)


def held_by_others(connection: Connection, job_ids: Sequence[int]) -> set[int]:
    """Lock the edges of jobs that may become BLOCKED: see `unmet_edges`. Return the jobs whose edges others hold.

    It does not wait for those: they are about to end a predecessor.
    """
    if not job_ids:
        return set()
    query = unmet_edges(job_ids)
    unmet = {tuple(edge) for edge in connection.execute(query)}
    if not unmet or connection.dialect.name != "postgresql":
        return set()
    locked = connection.execute(query.with_for_update(key_share=True, skip_locked=True))
    return {successor for successor, _ in unmet - {tuple(edge) for edge in locked}}


def lock_successors(connection: Connection, job_ids: Sequence[int], statuses: Collection[JobStatus]) -> None:
    """Lock what waits for jobs that are to end in one statement, if they are in these statuses.

    The end of a job locks its successors in the order of their numbers. Several ends, one after the other, would
    not keep to one order, and deadlock with the end of another job. So this comes before all other locks of jobs.
    """
    if not job_ids or connection.dialect.name != "postgresql":
        return
    predecessor = aliased(Job)
    ending = select(EdgeRow.successor_id).join(predecessor, predecessor.id == EdgeRow.predecessor_id)
    ending = ending.where(among(EdgeRow.predecessor_id, job_ids), predecessor._status.in_(statuses))
    waiting = select(Job.id).where(has_status(JobStatus.BLOCKED), Job.id.in_(ending)).order_by(Job.id)
    connection.execute(waiting.with_for_update(key_share=True))


def waits_for_nothing() -> ColumnElement[bool]:
    """Return the condition that a job has predecessors, and that all of them have ended as they should."""
    mine = EdgeRow.successor_id == Job.id
    any_edge, unmet = exists().where(mine), exists().where(mine, not_(EdgeRow.is_met))
    return any_edge.correlate_except(EdgeRow) & not_(unmet.correlate_except(EdgeRow))


def waits_in_vain(connection: Connection, job_id: int) -> bool:
    """Return whether a job waits for one that has ended, but not as it should, or is gone; also through others.

    One that has expired, and is not called so yet, counts as ended; but resuming a suspended job lifts its expiry.
    """
    waiting = select(Job.id.label("id")).where(Job.id == job_id).cte("waiting", recursive=True)
    before = select(EdgeRow.predecessor_id).join(waiting, EdgeRow.successor_id == waiting.c.id)
    before = before.join(Job, Job.id == EdgeRow.predecessor_id)
    waiting = waiting.union(before.where(not_(EdgeRow.is_met), has_status(JobStatus.BLOCKED)))
    predecessor = aliased(Job)
    runs = predecessor._status.in_((JobStatus.RUNNING, JobStatus.SUSPENDED)) | can_start(predecessor)
    is_pending = exists().where(
        predecessor.id == EdgeRow.predecessor_id, predecessor._status.in_(PENDING), runs | EdgeRow.any_end
    )
    edges = select(EdgeRow.successor_id).join(waiting, EdgeRow.successor_id == waiting.c.id)
    in_vain = edges.where(not_(EdgeRow.is_met), not_(is_pending.correlate(EdgeRow))).limit(1)
    return connection.scalar(in_vain) is not None


def release_free(connection: Connection, job_ids: Sequence[int], *conditions: ColumnElement[bool]) -> int:
    """Make those of these jobs WAITING that are BLOCKED by nothing, and meet the conditions; return how many."""
    free = (among(Job.id, job_ids), has_status(JobStatus.BLOCKED), waits_for_nothing(), *conditions)
    return connection.execute(update(Job).where(*free).values(_status=JobStatus.WAITING)).rowcount


def forget_marks(connection: Connection, job_ids: list[int]) -> None:
    """Mark that jobs, which are to run again, have not ended.

    The trigger does so too, but only when their rows are written: too late for successors in the same statement.
    """
    mine = (among(EdgeRow.predecessor_id, job_ids), EdgeRow.is_met)
    connection.execute(update(EdgeRow).where(*mine).values(is_met=False))


def hand_on_successors(connection: Connection, claim: Claim, twin: int) -> None:
    """Let the successors of a job of ours wait for its twin instead, which does its work."""
    other = aliased(EdgeRow)
    is_double = exists().where(other.successor_id == EdgeRow.successor_id, other.predecessor_id == twin)
    is_ours = exists().where(Job.id == claim.id, Job.lease_token == claim.token, has_status(JobStatus.RUNNING))
    mine = EdgeRow.predecessor_id == claim.id
    moved = connection.execute(
        update(EdgeRow)
        .where(mine, EdgeRow.successor_id != twin, not_(is_double.correlate(EdgeRow)), is_ours)
        .values(predecessor_id=twin)
        .execution_options(synchronize_session=False)
    ).rowcount
    if moved:
        connection.execute(update(Job).where(Job.id == twin).values(has_successors=True))
    connection.execute(delete(EdgeRow).where(mine, is_double.correlate(EdgeRow), is_ours))


def graph_of(job_id: int) -> Select[int]:
    """Return the query for the numbers of a job's graph: all jobs that edges connect with it, itself included."""
    found = select(Job.id.label("id")).where(Job.id == job_id).cte("graph", recursive=True)
    is_near = (EdgeRow.predecessor_id == found.c.id) | (EdgeRow.successor_id == found.c.id)
    near = case((EdgeRow.predecessor_id == found.c.id, EdgeRow.successor_id), else_=EdgeRow.predecessor_id)
    found = found.union(select(near).select_from(found).join(EdgeRow, is_near))
    return select(found.c.id)
