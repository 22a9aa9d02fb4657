"""The workers, as their rows say and as far as this host can tell; leases decide who lives, not these rows."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from jobcron.database.clock import database_now
from jobcron.database.tables import WorkerRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.lease import Process
from jobcron.operations.reasons import span
from jobcron.queue.health import Check, Health
from jobcron.scripts.locks.holders import family_of


@dataclass(frozen=True)
class WorkerState:
    """A worker: a process that stays, with the processes that run jobs for it.

    Attributes:
        host: where it runs.
        pid: its process there.
        version: its version of jobcron.
        sections: the sections that it runs.
        jobs: how many jobs its processes hold.
        processes: how many of these it had at its last sign of life.
        most_processes: how many it may have at once.
        is_leaving: whether it starts no more jobs, and leaves when these are done.
        since: when it began.
        seen: its last sign of life.
        death: what tells that it is dead; null: nothing.
    """

    host: str
    pid: int
    version: str
    sections: tuple[str, ...]
    jobs: int
    processes: int
    most_processes: int
    is_leaving: bool
    since: datetime
    seen: datetime
    death: str | None


def worker_states(connection: Connection) -> list[WorkerState]:
    """Return the workers, who began first at the top; only reads."""
    columns = select(WorkerRow, database_now().label("now")).order_by(WorkerRow.started, WorkerRow.name)
    rows = connection.execute(columns).all()
    jobs = _jobs_of_families(connection) if rows else Counter()
    return [
        WorkerState(
            host=row.host,
            pid=row.pid,
            version=row.version,
            sections=tuple(row.sections.split()),
            jobs=jobs[_family(row.name)],
            processes=row.processes,
            most_processes=row.most_processes,
            is_leaving=row.is_leaving,
            since=row.started,
            seen=row.seen,
            death=_sign_of_death(connection, row.host, row.pid, row.seen, row.silent_after, row.now),
        )
        for row in rows
    ]


def check_workers(connection: Connection) -> list[Check]:
    """Return a finding for each worker that has died, unless another one on its host runs its sections.

    Return none if there are no workers: cron may run everything.
    """
    states = worker_states(connection)
    found = [
        Check(Health.WARNING, f"the worker {state.host}:{state.pid} of {', '.join(state.sections)}: {state.death}")
        for state in states
        if state.death is not None and not _is_replaced(state, states)
    ]
    living = sum(state.death is None for state in states)
    return found or [Check(Health.OK, f"{living} at work")] * bool(states)


def workers_of_families(connection: Connection) -> dict[str, str]:
    """Return host and process of each worker by the family of its processes' names, see `holders.new_name`."""
    columns = select(WorkerRow.name, WorkerRow.host, WorkerRow.pid)
    return {_family(name): f"{host}:{pid}" for name, host, pid in connection.execute(columns)}


def _family(name: str) -> str:
    return name.rpartition("/")[2]


def _jobs_of_families(connection: Connection) -> Counter[str]:
    held = select(Job.claimed_by, func.count()).where(has_status(JobStatus.RUNNING)).group_by(Job.claimed_by)
    jobs: Counter[str] = Counter()
    for name, count in connection.execute(held):
        jobs[family_of(name or "") or ""] += count
    return jobs


def _sign_of_death(
    connection: Connection, host: str, pid: int, seen: datetime, silent_after: datetime, now: datetime
) -> str | None:
    is_here = host == os.uname().nodename
    if Process(host, pid).is_missing:
        return f"this host has no process {pid}"
    if silent_after >= now or (is_here and connection.dialect.name == "sqlite"):
        return None  # on SQLite a job may have kept it from writing; its process is here
    return f"no sign of life for {span(now - seen)}"


def _is_replaced(dead: WorkerState, states: list[WorkerState]) -> bool:
    """Return whether workers on the same host run the sections of a dead one."""
    run = {name for state in states if state.host == dead.host and state.death is None for name in state.sections}
    return run.issuperset(dead.sections)
