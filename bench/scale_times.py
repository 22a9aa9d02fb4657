"""Measure what the model of many runners needs: ``python -m bench.scale_times`` writes ``bench/scale_times.json``.

What a job costs the server in processor time and WAL, how long claims take at least, what it costs a claim to step
over a row that another one has locked, and how long a write and sync of 8 KiB takes.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, text

from bench.application import NoOpJob
from bench.drain import NO_OP, by_jobcron
from bench.machine import sync_microseconds
from bench.place import FULL
from bench.postgresql import PostgreSQL
from jobcron import Database
from jobcron.queue.claim import Claimant, claim

FILE = Path(__file__).with_name("scale_times.json")
JOBS = 2500
TRIES = 30
LOCKED = 1500
BATCH = 100


def measure() -> dict[str, float]:
    """Return the measured times: milliseconds, if the name does not say something else."""
    with tempfile.TemporaryDirectory() as folder, closing(PostgreSQL(JOBS, Path(folder))) as place:
        with place.fresh(FULL) as fresh:
            drained = place.watched(fresh, JOBS, lambda: by_jobcron(NO_OP)(fresh, JOBS))
        with place.fresh(FULL) as fresh, closing(Database(fresh.url)) as database:
            one, batch = _claim(database, 1), _claim(database, BATCH)
            with database.begin() as connection:
                for _ in range(LOCKED // BATCH):
                    _claimed(connection, BATCH)
                beside = _claim(database, BATCH)
        return {
            "job_client": 1000 / drained["per_second"],
            "job_server_cpu": drained["server_cpu_ms"],
            "job_wal_bytes": drained["wal_bytes"],
            "job_commits": drained["commits"],
            "claim_of_1": one,
            "claim_of_100": batch,
            "step_over_1000_locked": max(0.0, beside - batch) * 1000 / LOCKED,
            "sync": min(sync_microseconds(Path(folder)) for _ in range(3)) / 1000,
        }


def _claim(database: Database, size: int) -> float:
    """Return how many milliseconds a claim takes at least, on a machine that does other things too."""
    took = []
    for _ in range(TRIES):
        with database.engine.connect() as connection:
            begun = time.perf_counter()
            _claimed(connection, size)
            took.append((time.perf_counter() - begun) * 1000)
            connection.rollback()
    return min(took)


def _claimed(connection: Connection, size: int) -> None:
    wanted = text("SELECT id FROM jobcron_type WHERE name = :name")
    number = int(connection.execute(wanted, {"name": NoOpJob.type_name}).scalar_one())
    found = claim(connection, number, size, Claimant("bench:1", 300.0))
    if len(found) != size:
        raise SystemExit(f"expected to claim {size} jobs, got {len(found)}")


if __name__ == "__main__":
    times = {name: round(value, 4) for name, value in measure().items()}
    FILE.write_text(json.dumps(times, indent=1) + "\n", encoding="utf-8")
    print(FILE.read_text(encoding="utf-8"))
