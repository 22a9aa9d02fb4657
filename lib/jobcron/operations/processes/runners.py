"""The processes that hold claims on jobs, as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobcron.database.clock import database_now
from jobcron.database.tables import JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status, lease_end
from jobcron.jobs.lease import process_of
from jobcron.jobs.registry import registered
from jobcron.operations.processes.workers import workers_of_families
from jobcron.operations.reasons import span
from jobcron.operations.sections import PENDING_LIMIT, type_states
from jobcron.queue.views import SourceView
from jobcron.scripts.locks.holders import family_of
from jobcron.scripts.locks.lock_holder import gone_claimants
from jobcron.settings.settings import Settings


@dataclass(frozen=True)
class RunnerState:
    """A process that holds claims on jobs, or has held them when it died.

    Attributes:
        name: the name under which it claims.
        host: where it runs; null: the name does not say.
        pid: its process there.
        sections: the sections that run jobs of these types.
        jobs: how many jobs it holds, among the first 10,000 that are running.
        job: the number of the one that it claimed first.
        since: when it claimed that one.
        lease_expires: when the first of its leases ends.
        renewed: when that lease was given or renewed last; null: unknown, since no class here has the type.
        death: what tells that it is dead; null: nothing.
        worker: host and process of the worker that it belongs to; null: none, or one that has no row.
    """

    name: str
    host: str | None
    pid: int | None
    sections: tuple[str, ...]
    jobs: int
    job: int
    since: datetime | None
    lease_expires: datetime | None
    renewed: datetime | None
    death: str | None
    worker: str | None


def runner_states(connection: Connection, settings: Settings) -> list[RunnerState]:
    """Return who holds claims now, who began first at the top; only reads."""
    columns = (
        Job.id,
        Job.claimed_by,
        Job.date_started,
        JobTypeRow.name,
        lease_end().label("end"),
        database_now().label("now"),
    )
    query = select(*columns).join(JobTypeRow, JobTypeRow.id == Job.type_id).where(has_status(JobStatus.RUNNING))
    held: dict[str, list[_Held]] = {}
    for row in connection.execute(query.order_by(Job.lease_expires).limit(PENDING_LIMIT)):
        held.setdefault(row.claimed_by or "", []).append(_Held(*row))
    sections = {state.name: state.sections for state in type_states(connection, settings)} if held else {}
    gone = {name for section in settings.sections for name in gone_claimants(settings.lock_dir, section)}
    workers = workers_of_families(connection) if held else {}
    found = [_runner_state(name, rows, sections, gone, workers) for name, rows in held.items()]
    return sorted(found, key=lambda runner: (runner.since or datetime.min.replace(tzinfo=UTC), runner.name))


class _Held(NamedTuple):
    """A running job."""

    id: int
    claimed_by: str | None
    date_started: datetime | None
    name: str
    end: datetime | None
    now: datetime


def _runner_state(
    name: str,
    rows: list[_Held],
    sections: dict[str, tuple[str, ...]],
    gone: set[str],
    workers: dict[str, str],
) -> RunnerState:
    first = min(rows, key=lambda row: (row.date_started or row.now, row.id))
    soonest = min(rows, key=lambda row: row.end or row.now)
    source = registered().get(soonest.name)
    length = None if source is None else timedelta(seconds=SourceView(source).lease_seconds)
    process = process_of(name)
    host, pid = (None, None) if process is None else process
    death = None
    if name in gone or (process is not None and process.is_missing):
        death = f"this host has no process {pid}"
    elif soonest.end is not None and soonest.end <= soonest.now:
        death = f"a lease is past since {span(soonest.now - soonest.end)}"
    return RunnerState(
        name=name,
        host=host,
        pid=pid,
        sections=tuple(sorted({section for row in rows for section in sections.get(row.name, ())})),
        jobs=len(rows),
        job=first.id,
        since=first.date_started,
        lease_expires=soonest.end,
        renewed=None if length is None or soonest.end is None else soonest.end - length,
        death=death,
        worker=workers.get(family_of(name) or ""),
    )
