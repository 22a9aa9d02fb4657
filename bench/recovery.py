"""How long a job waits whose message was lost: ``python -m bench.recovery --minutes 8``.

Jobs of a section with a dispatcher are created at random times; the dispatcher takes each number, and forgets it.
As cron does, a run is started at each full minute. The time from the creation of a job to its start is printed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import psycopg2
from sqlalchemy.orm import Session

from bench import TARGET_ID
from bench.application import Foo, NoOpJob
from bench.instance import SECTION, write_instance
from bench.place import EMPTY
from bench.postgresql import PostgreSQL
from bench.worker import JOBCRON, environment
from jobcron import Database
from jobcron.settings.database_url import libpq_url
from jobcron.settings.instance import load_settings, presented

MINUTE = 60.0
SECONDS_APART = 1.0


class Forgetful:
    """A dispatcher whose messages are all lost.

    Args:
        settings, section: see the key ``dispatch``.
    """

    def __init__(self, settings: object, section: object) -> None:
        self.taken = 0

    def offer(self, job_ids: Sequence[int]) -> None:
        """Take the numbers, and forget them."""
        self.taken += len(job_ids)

    def status(self) -> str:
        """Say how many were lost."""
        return f"lost: {self.taken}"

    def withdraw(self, job_ids: Sequence[int]) -> None:
        """Do nothing."""


def measure(minutes: int) -> None:
    """Create jobs for so long, and print how long they waited."""
    with tempfile.TemporaryDirectory() as folder:
        place = PostgreSQL(0, Path(folder))
        try:
            with place.fresh(EMPTY) as fresh:
                config = write_instance(fresh.folder, fresh.url)
                with (config / "jobcron.conf").open("a") as file:
                    file.write("dispatch: bench.recovery:Forgetful\n")
                cron = threading.Thread(target=_run_each_minute, args=(config, minutes))
                cron.start()
                _create(config, fresh.url, minutes * MINUTE - 5)
                cron.join()
                _tell(fresh.url)
        finally:
            place.close()


def _run_each_minute(config: Path, minutes: int) -> None:
    for _ in range(minutes + 1):
        time.sleep(MINUTE - time.time() % MINUTE)
        command = [JOBCRON, "run", SECTION]
        subprocess.run(
            command, env=environment({"JOBCRON_CONFIG": str(config)}), check=True, stderr=subprocess.PIPE
        )


def _create(config: Path, url: str, seconds: float) -> None:
    database, end = Database(url), time.monotonic() + seconds
    with presented(load_settings(str(config))):
        while time.monotonic() < end:
            with Session(database.engine) as session:
                NoOpJob.create(session.get_one(Foo, TARGET_ID))
                session.commit()
            time.sleep(random.expovariate(1 / SECONDS_APART))
    database.close()


def _tell(url: str) -> None:
    with psycopg2.connect(libpq_url(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM date_started - date_created)::float,"
            " extract(second FROM date_started)::float FROM jobcron_job ORDER BY 1"
        )
        rows = cursor.fetchall()
    waits, starts = zip(*rows, strict=True)
    p99 = quantiles(waits, n=100, method="inclusive")[98]
    print(f"jobs: {len(waits)}")
    print(f"from creation to start: median {median(waits):.1f} s, p99 {p99:.1f} s, most {max(waits):.1f} s")
    print(f"from the minute to the start: median {median(starts):.2f} s, most {max(starts):.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.recovery", description="Measure how long lost jobs wait.")
    parser.add_argument("--minutes", type=int, default=8, metavar="N", help="how long (default: 8)")
    measure(parser.parse_args().minutes)
