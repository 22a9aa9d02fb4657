"""The floor of creating in bulk: ``python -m bench.floors.copy URL JOBS``.

One transaction. On PostgreSQL COPY into the shared table and into the family's, with numbers from the sequence; on
SQLite both rows of each job by ``executemany``.
"""

from __future__ import annotations

import io
import sqlite3
import sys
from uuid import uuid4

from bench import TARGET_ID
from bench.stopwatch import time_work

COLUMNS = "id, uuid, type, json_data, max_retries, channel_key"
CHANNEL_KEY = f"bench.application.Foo {TARGET_ID}"


def copy(url: str, jobs: int) -> int:
    """Insert so many jobs by COPY, and return their number."""
    import psycopg2

    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    cursor = connection.cursor()
    cursor.execute("SELECT id FROM jobcron_type WHERE name = 'foo_job.NO_OP'")
    ((type_id,),) = cursor.fetchall()
    cursor.execute("SELECT nextval('jobcron_job_id_seq') FROM generate_series(1, %s)", (jobs,))
    numbers = [number for (number,) in cursor.fetchall()]
    shared = "".join(f"{number}\t{uuid4()}\t{type_id}\t{{}}\t0\t{CHANNEL_KEY}\n" for number in numbers)
    own = "".join(f"{number}\t0\t{TARGET_ID}\n" for number in numbers)
    cursor.copy_expert(f"COPY jobcron_job ({COLUMNS}) FROM STDIN", io.StringIO(shared))
    cursor.copy_expert("COPY foo_job (job, job_type, foo_id) FROM STDIN", io.StringIO(own))
    connection.commit()
    return jobs


def insert_many(path: str, jobs: int) -> int:
    """Insert so many jobs into SQLite's file, and return their number."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    ((type_id,),) = connection.execute("SELECT id FROM jobcron_type WHERE name = 'foo_job.NO_OP'")
    ((last,),) = connection.execute("SELECT coalesce(max(id), 0) FROM jobcron_job")
    numbers = range(last + 1, last + 1 + jobs)
    shared = [(number, uuid4().hex, type_id, "{}", 0, CHANNEL_KEY) for number in numbers]
    connection.executemany(f"INSERT INTO jobcron_job ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", shared)
    own = [(number, TARGET_ID) for number in numbers]
    connection.executemany("INSERT INTO foo_job (job, job_type, foo_id) VALUES (?, 0, ?)", own)
    connection.execute("COMMIT")
    return jobs


if __name__ == "__main__":
    url, count = sys.argv[1], int(sys.argv[2])
    if url.startswith("sqlite"):
        time_work(lambda: insert_many(url.removeprefix("sqlite:///"), count))
    else:
        time_work(lambda: copy(url, count))
