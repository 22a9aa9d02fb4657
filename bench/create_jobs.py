"""Makes jobs as an application does: ``python -m bench.create_jobs URL JOBS timed|profiled|at_once``.

The target stays loaded from one transaction to the next. In a session that expires it after each commit, as is
SQLAlchemy's default, reading it again would be the application's own statement, not ours.
"""

from __future__ import annotations

import sys

from bench import TARGET_ID
from bench.application import Foo, NoOpJob
from bench.profiling import profiled
from bench.stopwatch import time_work
from jobcron import Database


def create(database: Database, jobs: int) -> int:
    """Make so many jobs, each in a transaction of its own, and return their number."""
    with database.session() as session:
        foo = session.get_one(Foo, TARGET_ID)
        session.commit()
        for _ in range(jobs):
            NoOpJob.create(foo)
            session.commit()
    return jobs


def create_at_once(database: Database, jobs: int) -> int:
    """Make so many jobs by one call and in one transaction, and return their number."""
    with database.session() as session:
        NoOpJob.createMultiple([session.get_one(Foo, TARGET_ID)] * jobs)
        session.commit()
    return jobs


if __name__ == "__main__":
    url, number, how = sys.argv[1:]
    do = profiled if how == "profiled" else time_work
    make = create_at_once if how == "at_once" else create
    do(lambda: make(Database(url), int(number)))
