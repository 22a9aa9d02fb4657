"""The processes that hold claims on jobs, as they are now."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from jobcron.runner.grouped.runs import LEASE_SECONDS, LiveRun, group_runs
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
        job: the number of the one that it claimed first; null: none, it runs jobs in groups.
        since: when it claimed that one.
        lease_expires: when the first of its leases ends.
        renewed: when that lease was given or renewed last; null: unknown, since no class here has the type.
        death: what tells that it is dead; null: nothing.
        worker: host and process of the worker that it belongs to; null: none, or one that has no row.
        groups: the type of the jobs that it runs in groups, whose claims are locks of their rows; null: none.
    """

    name: str
    host: str | None
    pid: int | None
    sections: tuple[str, ...]
    jobs: int
    job: int | None
    since: datetime | None
    lease_expires: datetime | None
    renewed: datetime | None
    death: str | None
    worker: str | None
    groups: str | None = None


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
    in_groups = {run.name: run for run in group_runs(connection)}
    is_any = held or in_groups
    sections = {state.name: state.sections for state in type_states(connection, settings)} if is_any else {}
    gone = {name for section in settings.sections for name in gone_claimants(settings.lock_dir, section)}
    workers = workers_of_families(connection) if is_any else {}
    found = [_runner_state(name, rows, sections, gone, workers) for name, rows in held.items()]
    found = [replace(s, groups=in_groups[s.name].type) if s.name in in_groups else s for s in found]
    found += [_in_groups(run, sections, gone, workers) for run in in_groups.values() if run.name not in held]
    return sorted(found, key=lambda runner: (runner.since or datetime.min.replace(tzinfo=UTC), runner.name))


def _in_groups(
    run: LiveRun, sections: dict[str, tuple[str, ...]], gone: set[str], workers: dict[str, str]
) -> RunnerState:
    """Return the state of a run that holds no claim but locks of rows, which no table shows."""
    process = process_of(run.name)
    host, pid = (None, None) if process is None else process
    death = "its lease is past" if run.is_over else None
    if run.name in gone or (process is not None and process.is_missing):
        death = f"this host has no process {pid}"
    return RunnerState(
        name=run.name,
        host=host,
        pid=pid,
        sections=sections.get(run.type, ()),
        jobs=0,
        job=None,
        since=run.started,
        lease_expires=run.lease_expires,
        renewed=run.lease_expires - timedelta(seconds=LEASE_SECONDS),
        death=death,
        worker=workers.get(family_of(run.name) or ""),
        groups=run.type,
    )


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
