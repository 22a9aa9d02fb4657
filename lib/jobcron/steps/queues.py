"""Queues: run the jobs of one queue, whatever their tasks, and count the waiting jobs (DBQ-06, DBQ-08).

``jobcron.steps.queues.NAME`` is the source of the jobs in the queue NAME. Because it has an ``iterReady`` of its
own, a tick with nothing to do costs more than in a section that lists tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

from sqlalchemy import ColumnElement, Connection, Select, func, select, union_all
from sqlalchemy.orm import Session, defer
from zope.interface import implementer

from jobcron.database.clock import database_now
from jobcron.database.sessions import current_session
from jobcron.database.statements import among
from jobcron.database.tables import JobTypeRow
from jobcron.interfaces import IJobSource, JobStatus
from jobcron.jobs.job import HALVES, START_ORDER, Job, is_ready
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.settings.durations import Duration
from jobcron.settings.settings import Settings
from jobcron.steps._job import StepsJob
from jobcron.steps.definitions import FAMILY, job_classes

PASS = 100
"""How many jobs are read before the queue is searched again."""


@implementer(IJobSource)
# why: decisions 2026-11-24, the jobs of a queue are found by `iterReady`
class QueueSource:
    """The jobs in one queue, of all definitions in this process."""

    finds_ready_jobs_itself = True
    memory_limit: int | None = None
    lease_duration: Duration = BaseRunnableJob.lease_duration
    queue_name = ""

    def __init__(self) -> None:
        self._classes: dict[int, type[StepsJob]] = {}

    @staticmethod
    def contextManager() -> AbstractContextManager[object]:
        """See `IJobSource`."""
        return nullcontext()

    def iterReady(self) -> Iterator[StepsJob]:
        """Iterate over the first ready jobs, in the order in which they start."""
        session = current_session()
        self._classes = _classes_by_type(session)
        if not self._classes:
            return
        found: list[int] = []
        for half in HALVES:  # jobs that wait for room in a channel hide no others
            first = union_all(*(self._first_of(number, half) for number in self._classes)).subquery().c
            numbers = select(first.id).order_by(first.priority, first.scheduled_start, first.id).limit(PASS)
            found += session.scalars(numbers)
        ready = select(Job).where(among(Job.id, found)).order_by(*START_ORDER)
        # Data is read when a job is claimed: invalid data in a row written by hand is that job's trouble.
        for row in session.scalars(ready.options(defer(Job.json_data), defer(Job.steps))).all():
            yield self._classes[row.type_id](row)

    def _first_of(self, type_id: int, half: ColumnElement[bool]) -> Select[object]:
        """Select the first ready jobs of a type.

        This is done type by type because the index orders the ready jobs of each type; for all types together,
            all ready jobs would have to be read and sorted.
        """
        mine = (Job.type_id == type_id, half, Job.queue_name == self.queue_name, is_ready())
        ready = select(*START_ORDER).where(*mine)
        return select(ready.order_by(*START_ORDER).limit(PASS).subquery())

    def load(self, session: Session, job_ids: list[int]) -> dict[int, StepsJob]:
        """Return claimed jobs by number, with their rows freshly loaded."""
        asked = select(Job).where(among(Job.id, job_ids))
        rows = session.scalars(asked, execution_options={"populate_existing": True}).all()
        if any(row.type_id not in self._classes for row in rows):
            self._classes = _classes_by_type(session)
        return {row.id: self._classes[row.type_id](row) for row in rows if row.type_id in self._classes}


def _classes_by_type(session: Session) -> dict[int, type[StepsJob]]:
    classes = job_classes()
    types = select(JobTypeRow.id, JobTypeRow.name).where(JobTypeRow.name.startswith(f"{FAMILY}."))
    found = {number: classes.get(name.partition(".")[2]) for number, name in session.execute(types)}
    return {number: job_class for number, job_class in found.items() if job_class is not None}


def queue_depths(connection: Connection, *, exclude_future_jobs: bool = False) -> dict[str, int]:
    """Count the waiting jobs, those in the states NEW and READY, in each queue that has some.

    Args:
        connection: a connection; nothing is written.
        exclude_future_jobs: whether to count only the jobs that are due.
    """
    waiting = (
        select(Job.queue_name, func.count())
        .join(JobTypeRow, Job.type_id == JobTypeRow.id)
        .where(JobTypeRow.name.startswith(f"{FAMILY}."), Job.status == JobStatus.WAITING)
        .group_by(Job.queue_name)
    )
    if exclude_future_jobs:
        waiting = waiting.where(Job.scheduled_start <= database_now())
    return {name: count for name, count in connection.execute(waiting)}  # noqa: C416 (rows are no pairs to mypy)


def known_queues(settings: Settings) -> set[str]:
    """Return the queues that sections run, or in which the definitions of this process create jobs."""
    of_sections = {section.queue for section in settings.sections.values() if section.queue}
    return {StepsJob.default_queue, *of_sections, *(found.default_queue for found in job_classes().values())}


def is_used(connection: Connection, queue: str) -> bool:
    """Return whether there is a job in a queue, whatever its status."""
    jobs = (
        select(Job.id)
        .join(JobTypeRow, Job.type_id == JobTypeRow.id)
        .where(JobTypeRow.name.startswith(f"{FAMILY}."), Job.queue_name == queue)
    )
    return connection.execute(jobs.limit(1)).first() is not None


def __getattr__(name: str) -> QueueSource:
    if name.startswith("__"):
        raise AttributeError(name)
    found: QueueSource = type(name, (QueueSource,), {"__module__": __name__, "queue_name": name})()
    return found
