"""Jobs in every status, and a way to make rows older."""

from __future__ import annotations

from instances import Instance
from jobcron import JobStatus
from jobcron.testing import JobFactory


def age(instance: Instance, days: float, where: str = "1 = 1") -> None:
    """Make rows of jobs older by so many days; tests move the rows' times, not the clock."""
    for column in ("date_created", "date_finished"):
        moved = {
            "sqlite": f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{days} days')",
            "postgresql": f"{column} - interval '{days} days'",
        }[instance.database.dialect]
        instance.query(f"UPDATE jobcron_job SET {column} = {moved} WHERE {where}")


def make(instance: Instance, *statuses: JobStatus, type_name: str = "foo_job.DO_FOO") -> list[int]:
    """Commit a job in each status."""
    with instance.session() as session:
        return [JobFactory(session).makeJob(status, type_name).id for status in statuses]
