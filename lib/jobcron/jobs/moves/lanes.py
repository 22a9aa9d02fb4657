"""Lanes: a job that reaches its time limit goes on, from its top, as a job of a slower type.

Each lane is a type of its own, and has a section of its own: so claims, ticks and counts know nothing of lanes,
and jobs without any pay nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection, case, func, inspect, null, update

from jobcron.jobs._job_class import JobClass
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.known_types import find_or_insert
from jobcron.jobs.lease import Claim
from jobcron.jobs.registry import SourceClass, slow_lane_of
from jobcron.jobs.status import RUNNING


def lane_of(job: object) -> SourceClass | None:
    """Return the class with which a job goes on when it has reached its time limit; None: it has none."""
    return slow_lane_of(job.type_name) if isinstance(job, JobClass) else None


def usual_channel(job: object, section_channel: str) -> str:
    """Return the channel of a class's jobs that were given none: the class's, or the section's; empty: none."""
    return str(job.job_defaults.get("channel", section_channel)) if isinstance(job, JobClass) else section_channel


def into_lane(connection: Connection, claim: Claim, slow: SourceClass, usual: str) -> None:
    """Give a job of ours, which still runs, the type of its slow lane; do nothing if it is not ours any more.

    Its channel becomes that of the slow lane's class; if that has none, the slow lane's section says it at the
    next claim. A channel that the job itself was given stays.

    Args:
        connection: of a transaction of its own. If the process dies after it, the slow lane takes the job over.
        claim: our claim.
        slow: the slow lane's class.
        usual: see `usual_channel`.

    Raises:
        DBAPIError: the database refuses it: the role may not write the family's table, for example.
    """
    number = find_or_insert(connection, slow.type_name)
    is_ours = (Job.id == claim.id, Job.lease_token == claim.token, has_status(RUNNING))
    own = slow.job_defaults.get("channel", null())
    channel = case((func.coalesce(Job.channel, usual) == usual, own), else_=Job.channel)
    moved = connection.execute(update(Job).where(*is_ours).values({Job.type_id: number, Job.channel: channel}))
    if moved.rowcount == 1 and slow.has_family:
        mapper = inspect(slow.context_class)
        (key,) = mapper.primary_key
        row = update(mapper.local_table).where(key == claim.id)
        connection.execute(row.values({mapper.columns["job_type"]: slow.class_job_type}))
