"""Run jobs or acquire one in several processes that start at the same moment, for tests of races.

    simultaneous.py acquire|run|drain COUNT URL

They are forked from one that has loaded everything, so that they race for the database and not for the disk.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier

from sqlalchemy import func, select

from fooapp import DoFooJob, Foo
from jobcron import Database, Job, JobRunner
from jobcron.jobs.status import PENDING
from jobcron.testing import DevNullLogger


def acquire(url: str, barrier: Barrier) -> str:
    """Acquire the job for the first foo, and return its number."""
    with Database(url).session() as session:
        foo = session.get_one(Foo, 1)
        session.commit()
        barrier.wait()
        number = DoFooJob.acquire(foo, session=session).job.id
        time.sleep(0.02)  # what the caller's transaction does besides
        session.commit()
    return str(number)


def run(url: str, barrier: Barrier) -> str:
    """Run all jobs, and return how many completed here."""
    database = Database(url)
    barrier.wait()
    return str(JobRunner.runFromSource(DoFooJob, database, DevNullLogger()).completed.total())


def drain(url: str, barrier: Barrier) -> str:
    """Run jobs until all have ended, and return how many completed here."""
    database = Database(url)
    barrier.wait()
    completed = 0
    while True:
        completed += JobRunner.runFromSource(DoFooJob, database, DevNullLogger()).completed.total()
        with database.session(writing=False) as session:
            if session.scalar(select(func.count()).where(Job.status.in_(PENDING))) == 0:
                return str(completed)
        time.sleep(0.002)


def race(what: str, url: str, barrier: Barrier, results: multiprocessing.SimpleQueue[str]) -> None:
    """Do it when all are there."""
    results.put({"acquire": acquire, "run": run, "drain": drain}[what](url, barrier))


def main(what: str, count: int, url: str) -> int:
    """Start the processes, print what each returns, and wait for their ends."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(count), context.SimpleQueue()
    processes = [context.Process(target=race, args=(what, url, barrier, results)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    while not results.empty():
        print(results.get())
    return max(abs(process.exitcode or 0) for process in processes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
