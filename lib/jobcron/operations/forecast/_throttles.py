"""The jobs of a plan that their channels let start no more: so many have started in a period by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from jobcron.database.statements import among
from jobcron.jobs.job import Job
from jobcron.jobs.moves.channels import read_channels
from jobcron.operations.forecast._queue import PlannedJob, Step
from jobcron.operations.processes.channels import is_within, starts

_BEGINS = (Step.RUN, Step.TAKE_OVER)


def throttled(connection: Connection, jobs: Sequence[PlannedJob], channel: str) -> list[PlannedJob]:
    """Return jobs with those marked that a run would not start, since a channel lets only so many start.

    Args:
        connection: it is only read.
        jobs: the jobs of a run, in its order.
        channel: that of the section, for jobs that have none of their own; empty: it has none.
    """
    rows = [row for row in read_channels(connection) if row.throttle is not None]
    if not rows:
        return list(jobs)
    own = select(Job.id, Job.channel).where(among(Job.id, [job.id for job in jobs]))
    channels = {number: name or channel for number, name in connection.execute(own)}
    left = {row.name: (row.throttle or 0) - len(starts(connection, row)) for row in rows}
    found = []
    for job in jobs:
        mine = channels.get(job.id, "")
        limiting = [row for row in rows if job.step in _BEGINS and is_within(mine, row.name)]
        full = next((row for row in limiting if left[row.name] <= 0), None)
        if full is not None:
            why = f"channel {full.name} is full by then: {full.throttle} start within {full.period:g} s"
            found.append(replace(job, step=Step.PASS_OVER, why=why))
            continue
        for row in limiting:
            left[row.name] -= 1
        found.append(job)
    return found
