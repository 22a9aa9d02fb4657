"""The plan of a section's next run: which jobs it would take, in which order, under which limits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, select

from jobcron.database.runs import typical_seconds
from jobcron.database.tables import JobTypeRow
from jobcron.jobs import known_types
from jobcron.operations.forecast._queue import PlannedJob, Queue, Step
from jobcron.operations.forecast._slots import DueSchedule, due_of_section
from jobcron.operations.forecast._throttles import throttled
from jobcron.operations.reasons import Cause, Explanation, Reason
from jobcron.operations.why import explain_section
from jobcron.queue.sources import find_source
from jobcron.queue.views import SourceView
from jobcron.scripts.locks.lock_holder import gone_claimants
from jobcron.scripts.order import limits_of
from jobcron.settings.settings import Section, Settings

__all__ = ["LIMIT", "DueSchedule", "Plan", "PlannedJob", "Step", "plan_section"]

LIMIT = 50
"""The most jobs of a plan, if nothing else is asked for."""


@dataclass(frozen=True)
class Plan:
    """What the next run of a section would do, if it began now and nothing changed meanwhile.

    Attributes:
        section: the section.
        source: the dotted name of its source.
        decides: whether the source decides by itself which jobs are ready.
        runner: the runner's name, as in the configuration.
        batch_size: the most jobs that are claimed at once.
        max_workers: how many jobs run at once.
        max_runtime: the seconds after which no job is started any more; None: no limit.
        typical_seconds: how long a job took in the last runs; None: unknown.
        expected: how many jobs are started within ``max_runtime``, roughly; None: all, or unknown.
        crash_limit: a job whose process died this often is only ended.
        lease_seconds: how long a claim lasts, if it is not renewed.
        obstacles: why the section does not run at all now, or not at once.
        schedules: which schedules create jobs first. Those jobs have no numbers yet, and are not in ``jobs``.
        jobs: what is done with which job, in this order.
        is_complete: whether these are all.
    """

    section: str
    source: str
    decides: bool
    runner: str
    batch_size: int
    max_workers: int
    max_runtime: float | None
    typical_seconds: float | None
    expected: int | None
    crash_limit: int
    lease_seconds: float
    obstacles: tuple[Reason, ...]
    schedules: tuple[DueSchedule, ...]
    jobs: tuple[PlannedJob, ...]
    is_complete: bool

    @property
    def is_blocked(self) -> bool:
        """Whether something keeps the section from running."""
        return any(obstacle.is_blocking for obstacle in self.obstacles)


def plan_section(
    connection: Connection,
    settings: Settings,
    section: Section,
    *,
    limit: int = LIMIT,
    why: Explanation | None = None,
) -> Plan:
    """Return what the next run of a section would do, by its statements without their locks and their writes.

    Args:
        connection: in a transaction that only reads. The source's own ``iterReady``, if it has one, reads there.
        settings: the instance's settings; its application has been imported.
        section: the section.
        limit: the most jobs.
        why: what `explain_section` has found, if it was asked already.

    Raises:
        ConfigurationError: the section names no source.
    """
    source = SourceView(find_source(settings, section))
    limits, typical = limits_of(settings, section), typical_seconds(connection, section.name)
    decides = source.finds_ready_jobs_itself
    types, gone = _types(connection, source), gone_claimants(settings.lock_dir, section.name)
    queue = Queue(connection, section.name, types, gone, limits.crash_limit, limit + 1, limits.channel)
    jobs = _jobs(queue, source)
    begun = throttled(connection, jobs[:limit], limits.channel)
    found = (why or explain_section(connection, settings, section)).reasons
    return Plan(
        section=section.name,
        source=source.name,
        decides=decides,
        runner=section.runner_class,
        batch_size=1 if decides else limits.batch_size,
        max_workers=limits.max_workers,
        max_runtime=limits.max_runtime,
        typical_seconds=typical,
        expected=_expected(limits.max_runtime, typical),
        crash_limit=limits.crash_limit,
        lease_seconds=source.lease_seconds,
        obstacles=tuple(one for one in found if one.is_blocking or one.cause is Cause.LOCK_HELD),
        schedules=tuple(due_of_section(connection, settings, source.name)),
        jobs=tuple(queue.passed_over(begun)),
        is_complete=len(jobs) <= limit,
    )


def _types(connection: Connection, source: SourceView) -> list[int]:
    if source.finds_ready_jobs_itself:
        return known_types.type_ids_of(connection, source.name)
    return list(connection.scalars(select(JobTypeRow.id).where(JobTypeRow.name == source.type_name)))


def _jobs(queue: Queue, source: SourceView) -> list[PlannedJob]:
    expired = queue.expired()
    taken, freed = queue.dead()
    if source.finds_ready_jobs_itself:
        found = (expired, queue.put_back(taken, freed), queue.chosen(source))
    else:
        found = (expired, taken, queue.ready(freed))
    return list(islice((job for jobs in found for job in jobs), queue.limit))


def _expected(max_runtime: float | None, typical: float | None) -> int | None:
    """Return how many jobs fit into a run: the first always starts."""
    if max_runtime is None or not typical:
        return None
    return max(1, int(max_runtime / typical))
