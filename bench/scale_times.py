"""Measure what the model of many runners needs: ``python -m bench.scale_times`` writes ``bench/scale_times.json``.

What a job costs the server in processor time and WAL, how long claims take at least, what it costs a claim to step
over a row that another one has locked (by EXPLAIN), what pruning costs, and how long a write and sync of 8 KiB
takes. ``--only prune`` measures pruning alone, and keeps the other figures of the file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, text

from bench import TARGET_ID
from bench.application import Foo, NoOpJob
from bench.drain import NO_OP, by_jobcron
from bench.instance import write_instance
from bench.machine import sync_microseconds
from bench.place import EMPTY, FULL
from bench.postgresql import PostgreSQL
from bench.scale_model import TIMES as FILE
from bench.worker import JOBCRON, run
from jobcron import Database
from jobcron.database.statements import expect_few_rows, text_of
from jobcron.interfaces import DEFAULT_CRASH_LIMIT
from jobcron.queue.claim import Claimant, claim

JOBS = 2500
TRIES = 30
LOCKED = 30_000
"""So many that stepping over them stands out from the noise."""

BATCH = 100

PRUNED = 50_000

LONG_AGO = "date_created - interval '99 days'"

ENDED = (
    f"UPDATE jobcron_job SET status = 2, date_created = {LONG_AGO}, date_started = {LONG_AGO}, "
    f"date_finished = {LONG_AGO}"
)


def measure() -> dict[str, float]:
    """Return the measured times: milliseconds, if the name does not say something else."""
    with tempfile.TemporaryDirectory() as folder, closing(PostgreSQL(JOBS, Path(folder))) as place:
        with place.fresh(FULL) as fresh:
            drained = place.watched(fresh, JOBS, lambda: by_jobcron(NO_OP)(fresh, JOBS))
        with place.fresh(FULL) as fresh, closing(Database(fresh.url)) as database:
            one, batch = _claim(database, 1), _claim(database, BATCH)
        with place.fresh(EMPTY) as fresh, closing(Database(fresh.url)) as database:
            step_over = _step_over(database)
        return {
            "job_client": 1000 / drained["per_second"],
            "job_server_cpu": drained["server_cpu_ms"],
            "job_wal_bytes": drained["wal_bytes"],
            "job_commits": drained["commits"],
            "claim_of_1": one,
            "claim_of_100": batch,
            "step_over_1000_locked": step_over * 1000,
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


def _step_over(database: Database) -> float:
    """Return how many milliseconds it costs a claim in the server to step over a row that is locked."""
    with database.session() as session:
        NoOpJob.createMultiple([session.get_one(Foo, TARGET_ID)] * (LOCKED + BATCH), session=session)
        session.commit()
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE) jobcron_job"))
    with database.engine.connect() as connection:
        _claimed(connection, LOCKED)
        beside = _explained(database)
        connection.rollback()
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE) jobcron_job"))
    alone = _explained(database)
    print(f"a claim of {BATCH}: {alone}; behind {LOCKED} locked rows: {beside}")
    return (beside["Execution Time"] - alone["Execution Time"]) / LOCKED


def measure_pruning(jobs: int) -> dict[str, float]:
    """Return how many jobs ``jobcron prune`` deletes in a second, and what one costs the server.

    Args:
        jobs: how many there are.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(PostgreSQL(1, Path(folder))) as place,
        place.fresh(EMPTY) as fresh,
    ):
        with closing(Database(fresh.url)) as database:
            with database.session() as session:
                NoOpJob.createMultiple([session.get_one(Foo, TARGET_ID)] * jobs, session=session)
                session.commit()
            with database.begin() as connection:
                connection.execute(text(ENDED))
            with database.engine.connect() as connection:
                plain = connection.execution_options(isolation_level="AUTOCOMMIT")
                for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
                    plain.execute(text(statement))
        config = str(write_instance(fresh.folder, fresh.url))

        def prune() -> dict[str, float]:
            begun = time.perf_counter()
            run([JOBCRON, "prune"], {"JOBCRON_CONFIG": config})
            return {"per_second": jobs / (time.perf_counter() - begun)}

        found = place.watched(fresh, jobs, prune)
        if place.count(fresh, "jobcron_job"):
            raise SystemExit(f"expected all {jobs} jobs to be deleted")
        return {
            "pruned_per_second": found["per_second"],
            "prune_server_cpu": found["server_cpu_ms"],
            "prune_wal_bytes": found["wal_bytes"],
        }


def _explained(database: Database) -> dict[str, float]:
    """Return the shortest time of a claim inside the server, and the pages that it has looked at."""
    clause = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text_of('claim', 'postgresql', '')}")
    claimant = {"section": "", "channel": "", "gone": "", "claimed_by": "bench:1"}
    limits = {"batch": BATCH, "lease_seconds": 300.0, "crash_limit": DEFAULT_CRASH_LIMIT}
    found = []
    for _ in range(TRIES):
        with database.engine.connect() as connection:
            wanted = {"type": _type_of(connection), **limits, **claimant}
            expect_few_rows(connection)
            plan = connection.execute(clause, wanted).scalar_one()[0]
            pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
            found.append({"Execution Time": plan["Execution Time"], "pages": pages})
            connection.rollback()
    return min(found, key=lambda each: each["Execution Time"])


def _type_of(connection: Connection) -> int:
    wanted = text("SELECT id FROM jobcron_type WHERE name = :name")
    return int(connection.execute(wanted, {"name": NoOpJob.type_name}).scalar_one())


def _claimed(connection: Connection, size: int) -> None:
    found = claim(connection, _type_of(connection), size, Claimant("bench:1", 300.0))
    if len(found) != size:
        raise SystemExit(f"expected to claim {size} jobs, got {len(found)}")


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale_times")
    parser.add_argument("--only", choices=["prune"])
    parser.add_argument("--pruned", type=int, default=PRUNED, metavar="JOBS", help=f"by default {PRUNED}")
    parser.add_argument("--file", type=Path, default=FILE, help=f"by default {FILE.name} beside this module")
    options = parser.parse_args()
    times = json.loads(options.file.read_text(encoding="utf-8")) if options.only else measure()
    times |= measure_pruning(options.pruned)
    rounded = {name: round(value, 4) for name, value in times.items()}
    options.file.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
    print(options.file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
