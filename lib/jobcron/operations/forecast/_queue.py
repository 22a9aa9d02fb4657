"""The jobs that a run would meet, in its order: those to expire, those of dead processes, those that are ready."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice

from sqlalchemy import Boolean, Connection, RowMapping, literal_column, select
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from jobcron.database.sessions import use_session
from jobcron.database.sql import lines, start_conditions
from jobcron.database.statements import among
from jobcron.database.tables import JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.jobs.lease import Claim
from jobcron.jobs.moves.channels import read_channels
from jobcron.jobs.moves.twins import twins_of
from jobcron.operations._obstacles.lock import lockers_of
from jobcron.operations.forecast.reading import Taking, would_take
from jobcron.queue.views import SourceView
from jobcron.reports.plurals import counted

SEARCHED = 1000
"""How many jobs of a source that decides by itself are looked at."""


class Step(StrEnum):
    """What a run does with a job."""

    EXPIRE = "expire"
    TAKE_OVER = "take over"
    PUT_BACK = "put back"
    FAIL = "fail"
    SUPERSEDE = "supersede"
    RUN = "run"
    PASS_OVER = "pass over"


@dataclass(frozen=True)
class PlannedJob:
    """What a run does with a job.

    Attributes:
        id: the job's number.
        step: what is done.
        type: the name of its type.
        priority: the lowest goes first.
        scheduled_start: when it was due.
        unique_key: its unique key.
        why: why this is done, in words, if it is not simply its turn.
    """

    id: int
    step: Step
    type: str
    priority: int
    scheduled_start: datetime
    unique_key: str | None = None
    why: str | None = None


@dataclass(frozen=True)
class Queue:
    """The jobs of a source as a run would meet them.

    Attributes:
        connection: it is only read.
        section: the name of the section that runs them.
        types: the numbers of the types of the source's jobs.
        gone: the names of claimants that are over.
        crash_limit: a job whose process died this often is only ended.
        limit: the most jobs of each kind to look for.
        channel: the section's channel; empty: it has none.
    """

    connection: Connection
    section: str
    types: Sequence[int]
    gone: tuple[str, ...]
    crash_limit: int
    limit: int
    channel: str = ""

    def expired(self) -> list[PlannedJob]:
        """Return the jobs that were not started in time."""
        found = [number for kind in self.types for number in self._ids("expire", kind)]
        return [_planned(row, Step.EXPIRE, "it was not started in time") for row in self._rows(found)]

    def dead(self) -> tuple[list[PlannedJob], list[int]]:
        """Return the jobs of dead processes that are taken over, and the numbers of those that only wait again."""
        taken: dict[int, PlannedJob] = {}
        freed: list[int] = []
        for kind in self.types:
            name: Taking = "dead_limited" if self._has_channels(kind) else "dead"
            found = {row["id"]: row for row in self._would_take(name, kind) if row["id"] is not None}
            for row in self._rows(list(found)):
                if not found[row["id"]]["is_head"]:
                    freed.append(row["id"])
                else:
                    taken[row["id"]] = self._taken_over(row, found[row["id"]])
        return sorted(taken.values(), key=order), freed

    def ready(self, freed: Sequence[int]) -> list[PlannedJob]:
        """Return the jobs of one type that are claimed, in this order.

        Args:
            freed: jobs that will wait again by then.
        """
        claimed = []
        for kind in self.types:
            claimed += self._ids("claim_limited" if self._has_channels(kind) else "claim", kind)
        found = [self._turn(row) for row in self._rows(claimed)]
        back = "its process died before the job began"
        for row in self._rows(freed):
            if twin := self._twin(row):
                found.append(_planned(row, Step.SUPERSEDE, f"{back}, and job {twin} does the same work"))
            elif row["is_due"] and row["is_in_time"]:
                found.append(replace(self._turn(row), why=back))
            elif not row["is_in_time"]:  # in this run only if the run looks again for jobs to expire
                found.append(_planned(row, Step.PUT_BACK, f"{back}; it was not started in time, and expires"))
        return sorted(found, key=order)

    def put_back(self, taken: Iterable[PlannedJob], freed: Sequence[int]) -> list[PlannedJob]:
        """Return what becomes of the jobs of dead processes where the source decides by itself what is ready."""
        back = [replace(job, step=Step.PUT_BACK) if job.step is Step.TAKE_OVER else job for job in taken]
        told = "its process died before the job began"
        return [*back, *(_planned(row, Step.PUT_BACK, told) for row in self._rows(freed))]

    def chosen(self, source: SourceView) -> list[PlannedJob]:
        """Return the jobs that a source says are ready, as far as a claim takes them, in its order."""
        with Session(self.connection, join_transaction_mode="create_savepoint") as session, use_session(session):
            rows = (job.row for job in islice(source.ready(), SEARCHED))
            ids = [row.id for row in rows if row is not None]
            session.rollback()
        found = {row["id"]: row for row in self._rows(ids)}
        conditions = tuple(start_conditions("", self.connection.dialect.name))
        return [
            self._turn(row)
            for row in (found[number] for number in ids if number in found)
            if row["status"] is JobStatus.WAITING and all(row[name] for name in conditions)
        ]

    def passed_over(self, jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
        """Return jobs with those marked whose rows other sessions have locked."""
        lockers = lockers_of(self.connection, [job.id for job in jobs])
        return [
            job
            if job.id not in lockers
            else replace(job, step=Step.PASS_OVER, why=f"its row is locked: {lockers[job.id]}")
            for job in jobs
        ]

    def _ids(self, name: Taking, kind: int) -> list[int]:
        return [row["id"] for row in self._would_take(name, kind)]

    def _has_channels(self, kind: int) -> bool:
        return bool(self.channel) or any(row["has_channels"] for row in self._would_take("dead", kind))

    def _would_take(self, name: Taking, kind: int) -> list[RowMapping]:
        parameters = {"type": kind, "batch": self.limit, "section": self.section, "gone": lines(self.gone)}
        if name in ("claim_limited", "dead_limited"):  # a run would lock them
            names = tuple(row.name for row in read_channels(self.connection))
            parameters |= {"channel": self.channel, "held": lines(names)}
        return would_take(self.connection, name, parameters)

    def _twin(self, row: RowMapping) -> int | None:
        """Return the job that supersedes one that is to wait again, as its end would be written."""
        twin = None
        if row["unique_key"] is not None:
            claim = Claim(row["id"], row["lease_token"])
            # Who only looks may have no right to the family's table.
            with suppress(ProgrammingError), self.connection.begin_nested():
                twin, _ = twins_of(self.connection, claim, None, is_locking=False)
        return twin

    def _taken_over(self, row: RowMapping, found: RowMapping) -> PlannedJob:
        deaths = row["crash_count"] + int(found["has_begun"])
        held = "its process is gone" if found["is_gone"] else "its lease is past"
        if deaths >= self.crash_limit:
            return _planned(row, Step.FAIL, f"{held}; deaths: {deaths}, and the limit is {self.crash_limit}")
        return _planned(row, Step.TAKE_OVER, f"{held}, held by {row['claimed_by'] or 'somebody'}")

    def _turn(self, row: RowMapping) -> PlannedJob:
        deaths = row["crash_count"]
        if deaths >= self.crash_limit:
            told = f"deaths of its process: {deaths}, and the limit is {self.crash_limit}"
            return _planned(row, Step.FAIL, told)
        return _planned(
            row, Step.RUN, f"claimed alone: its process died {counted(deaths, 'time')}" if deaths else None
        )

    def _rows(self, ids: Sequence[int]) -> list[RowMapping]:
        """Return what a plan says of jobs, in the given order."""
        if not ids:
            return []
        conditions = start_conditions("jobcron_job", self.connection.dialect.name)
        query = (
            select(*_COLUMNS)
            .add_columns(*(literal_column(f"({sql})", Boolean).label(name) for name, sql in conditions.items()))
            .join(JobTypeRow, JobTypeRow.id == Job.type_id)
            .where(among(Job.id, ids))
        )
        found = {row["id"]: row for row in self.connection.execute(query).mappings()}
        return [found[number] for number in ids if number in found]


_COLUMNS = (
    Job.id,
    JobTypeRow.name.label("type"),
    Job._status.label("status"),
    Job.priority,
    Job.scheduled_start,
    Job.crash_count,
    Job.claimed_by,
    Job.unique_key,
    Job.lease_token,
)


def order(job: PlannedJob) -> tuple[int, datetime, int]:
    """Return by what jobs are taken in order."""
    return job.priority, job.scheduled_start, job.id


def _planned(row: RowMapping, step: Step, why: str | None = None) -> PlannedJob:
    return PlannedJob(
        row["id"], step, row["type"], row["priority"], row["scheduled_start"], row["unique_key"], why
    )
