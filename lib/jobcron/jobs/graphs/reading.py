"""Read the edges of graphs: what a job waits for, what waits for it, and what became of those."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from jobcron.database.tables import EdgeRow, JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.jobs.status import ENDED


@dataclass(frozen=True)
class Neighbour:
    """A predecessor or a successor of a job.

    Attributes:
        id: its number.
        uuid: its UUID; None if it was deleted.
        type: the name of its type, such as ``foo_job.ACT``; None if it was deleted.
        status: its status; None if it was deleted.
        description: for people.
        result: what it returned, as text, if it calls a function.
        data: its data, as its row has it; None also where only an overview is given.
        any_end: whether any end of the predecessor releases the successor; else it must complete.
        is_met: whether the predecessor has ended so.
    """

    id: int
    uuid: UUID | None
    type: str | None
    status: JobStatus | None
    description: str | None
    result: str | None
    data: dict[str, object] | None
    any_end: bool
    is_met: bool

    def __str__(self) -> str:
        """Return it in words, for messages."""
        if self.status is None:
            return f"job {self.id}, which was deleted"
        return f"job {self.id} ({self.type}), which is {self.status.name}"

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, or was deleted."""
        return self.status is None or self.status in ENDED


def predecessors_of(
    connection: Connection, job_id: int, *, limit: int | None = None, only_unmet: bool = False
) -> list[Neighbour]:
    """Return the jobs that a job waits for, or has waited for, by their numbers.

    Args:
        connection: only read.
        job_id: the job's number.
        limit: the most of them; None: all.
        only_unmet: only those for which it waits still.
    """
    query = _neighbours(EdgeRow.predecessor_id).where(EdgeRow.successor_id == job_id)
    if only_unmet:
        query = query.where(~EdgeRow.is_met)
    return _read(connection, query.order_by(EdgeRow.predecessor_id).limit(limit))


def successors_of(connection: Connection, job_id: int, *, limit: int | None = None) -> list[Neighbour]:
    """Return the jobs that wait for a job, or have waited for it, by their numbers; see `predecessors_of`."""
    query = _neighbours(EdgeRow.successor_id).where(EdgeRow.predecessor_id == job_id)
    return _read(connection, query.order_by(EdgeRow.successor_id).limit(limit))


def count_predecessors(connection: Connection, job_id: int) -> Counter[JobStatus]:
    """Return how many predecessors of a job have which status; those that were deleted are not counted."""
    counts = (
        select(Job._status, func.count())
        .join(EdgeRow, EdgeRow.predecessor_id == Job.id)
        .where(EdgeRow.successor_id == job_id)
        .group_by(Job._status)
    )
    return Counter({row[0]: row[1] for row in connection.execute(counts)})


def _neighbours(end: InstrumentedAttribute[int]) -> Select[int]:
    type_name, status = JobTypeRow.name.label("type"), Job._status.label("status")
    columns = (Job.uuid, type_name, status, Job.description, Job.result, Job.json_data.label("data"))
    return (
        select(end.label("id"))
        .add_columns(*columns, EdgeRow.any_end, EdgeRow.is_met)
        .select_from(EdgeRow)
        .outerjoin(Job, Job.id == end)
        .outerjoin(JobTypeRow, JobTypeRow.id == Job.type_id)
    )


def _read(connection: Connection, query: Select[int]) -> list[Neighbour]:
    rows = connection.execute(query).mappings()
    return [Neighbour(**{str(name): value for name, value in row.items()}) for row in rows]
