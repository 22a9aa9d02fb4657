"""The floor of creating: ``python -m bench.floors.create URL JOBS one|two``.

A transaction for each job: BEGIN, the INSERT that jobcron sends for the shared row, with "two" tables the family's
row as well, COMMIT.
"""

from __future__ import annotations

import sys
from uuid import uuid4

from bench import TARGET_ID
from bench.floors.bare import Bare, connect
from bench.stopwatch import time_work

# The columns that jobcron's own INSERT gives a value: all that have no default in the database.
JOB = """
INSERT INTO jobcron_job (uuid, type, expires_at, date_started, date_finished, lease_expires, claimed_by,
    max_retries, requester, unique_key, description, progress, result, log, oops_id, json_data, target_type,
    target_id)
VALUES (:uuid, :type, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, NULL)
RETURNING id, queue, status, priority, scheduled_start, date_created, lease_token, attempt_count, crash_count
"""

FAMILY = "INSERT INTO foo_job (job_type, foo_id, job) VALUES (0, :foo, :job)"


def create(bare: Bare, jobs: int, with_family: bool) -> int:
    """Insert so many jobs, and return their number."""
    bare.begin()
    type_id = bare.execute("SELECT id FROM jobcron_type", ()).fetchone()[0]
    bare.commit()
    insert_job, insert_family = bare.prepared(JOB), bare.prepared(FAMILY)
    for _ in range(jobs):
        bare.begin()
        row = bare.execute(insert_job, {"uuid": uuid4().hex, "type": type_id}).fetchone()
        if with_family:
            bare.execute(insert_family, {"foo": TARGET_ID, "job": row[0]})
        bare.commit()
    return jobs


if __name__ == "__main__":
    connection = connect(sys.argv[1])
    time_work(lambda: create(connection, int(sys.argv[2]), sys.argv[3] == "two"))
