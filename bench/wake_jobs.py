"""Makes jobs now and then, and tells how long each waited: ``python -m bench.wake_jobs URL JOBS SECONDS``.

It prints the seconds from each job's commit to its claim, as JSON. Both times are of this machine's clock.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from random import Random

from sqlalchemy import select

from bench import TARGET_ID
from bench.application import Foo, NoOpJob
from jobcron import Database, Job

PATIENCE_SECONDS = 60.0


def waits(database: Database, jobs: int, seconds: float) -> list[float]:
    """Make so many jobs, so many seconds apart on average; return how long each waited, in seconds."""
    random = Random(1)
    found = []
    for _ in range(jobs):
        time.sleep(random.uniform(0, 2 * seconds))
        with database.session() as session:
            number = NoOpJob.create(session.get_one(Foo, TARGET_ID)).job.id
            session.commit()
            committed = time.time()
        found.append(started(database, number) - committed)
    return found


def started(database: Database, number: int) -> float:
    """Wait until a job has started, and return when it did, in seconds since 1970."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        time.sleep(0.05)
        with database.session(writing=False) as session:
            at: datetime | None = session.scalar(select(Job.date_started).where(Job.id == number))
        if at is not None:
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    raise SystemExit(f"job {number} was not started within {PATIENCE_SECONDS:g} s")


if __name__ == "__main__":
    url, number, apart = sys.argv[1:]
    print(json.dumps(waits(Database(url), int(number), float(apart))))
