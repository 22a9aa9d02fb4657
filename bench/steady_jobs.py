"""Makes jobs at a steady rate, or at once: ``python -m bench.steady_jobs URL JOBS PER_SECOND``; 0: all at once.

It waits until all have ended, and prints as JSON the seconds from the first job's creation to the last one's end,
and those that each job waited. All times are the database's.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime

from sqlalchemy import func, select

from bench import TARGET_ID
from bench.application import Foo, WorkJob
from jobcron import Database, Job, JobStatus
from jobcron.jobs.job import has_status

PATIENCE_SECONDS = 300.0


def make(database: Database, jobs: int, per_second: float) -> None:
    """Make jobs, each in a transaction of its own at its time; or all in one."""
    began = time.monotonic()
    batch = 1 if per_second else jobs
    for number in range(0, jobs, batch):
        if per_second:
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        with database.session() as session:
            foo = session.get_one(Foo, TARGET_ID)
            for _ in range(batch):
                WorkJob.create(foo)
            session.commit()


def wait(database: Database, jobs: int) -> None:
    """Wait until so many jobs have completed."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        time.sleep(0.2)
        with database.begin(writing=False) as connection:
            if connection.scalar(select(func.count()).where(has_status(JobStatus.COMPLETED))) == jobs:
                return
    raise SystemExit(f"{jobs} jobs did not complete within {PATIENCE_SECONDS:g} s")


def times(database: Database) -> list[tuple[datetime, datetime, datetime]]:
    """Return when each job was created, was started, and ended; in the order in which they were made."""
    with database.begin(writing=False) as connection:
        asked = select(Job.date_created, Job.date_started, Job.date_finished).order_by(Job.id)
        rows = connection.execute(asked).all()
    return [(created, started, ended) for created, started, ended in rows if started and ended]


if __name__ == "__main__":
    url, count, rate = sys.argv[1:]
    opened = Database(url)
    make(opened, int(count), float(rate))
    wait(opened, int(count))
    found = times(opened)
    whole = max(ended for *_, ended in found) - min(created for created, *_ in found)
    waits = [(started - created).total_seconds() for created, started, _ in found]
    print(json.dumps({"seconds": whole.total_seconds(), "waits": waits}))
