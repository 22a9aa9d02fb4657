"""The methods that every job has because it may be part of a graph."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

from jobcron.database.sessions import AnySession
from jobcron.database.tables import jobs_connection
from jobcron.interfaces import JobStatus
from jobcron.jobs.graphs.creating import PlannedRow
from jobcron.jobs.graphs.elements import Planned
from jobcron.jobs.graphs.reading import Neighbour, count_predecessors, predecessors_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jobcron.jobs._job_class import JobClass
    from jobcron.jobs.job import Job


class GraphMember:
    """Adds to a job class the methods that plan a job, and those that show a job which jobs it has waited for."""

    if TYPE_CHECKING:  # attributes of the job that this mixin is part of

        @property
        def job(self) -> Job: ...

        @property
        def session(self) -> Session: ...

    @classmethod
    def planned(cls, *arguments: object, session: AnySession | None = None, **values: object) -> Planned:
        """Return a planned job, for a graph: see `jobcron.chain` and `jobcron.group`.

        Args:
            arguments: as for `create`: the target, or nothing.
            session: as for `create`.
            values: as for `create`.
        """
        owner = cast("type[JobClass]", cls)
        return Planned(PlannedRow(owner, arguments, values, session))

    def predecessors(self, limit: int | None = None) -> list[Neighbour]:
        """Return the jobs that this one has waited for, with their statuses, results and data.

        Args:
            limit: how many to return at most; None: all.
        """
        return predecessors_of(jobs_connection(self.session), self.job.id, limit=limit)

    def predecessor_counts(self) -> Counter[JobStatus]:
        """Count the jobs that this one has waited for, by the status in which they ended."""
        return count_predecessors(jobs_connection(self.session), self.job.id)
