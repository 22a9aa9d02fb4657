"""The floor of draining: ``python -m bench.floors.drain URL transactions|autocommit NO_OP|WRITE``.

It sends what jobcron's runner sends: the same claim of 100, the same loading of what was claimed, COMMIT; then for
each job BEGIN, for WRITE an UPDATE of one row, the same completing statement, COMMIT. What it leaves out is
everything else: objects, the job's class, outcomes, the keeper.
"""

from __future__ import annotations

import sys

from bench.floors.bare import Bare, connect
from bench.stopwatch import time_work
from jobcron.database.sql import statement

BATCH = 100
LEASE_SECONDS = 300.0

LOAD = """
SELECT job.*, foo_job.*, foo.*
FROM foo_job JOIN jobcron_job AS job ON job.id = foo_job.job LEFT OUTER JOIN foo ON foo.id = foo_job.foo_id
WHERE job.type = (SELECT id FROM jobcron_type WHERE name = 'foo_job.{name}') AND job.id IN ({numbers})
"""


WRITE = "UPDATE foo SET name = :name WHERE id = :foo"


def drain(bare: Bare, name: str) -> int:
    """Claim and complete all ready jobs of a type, and return how many there were."""
    bare.begin()
    type_id = bare.execute(f"SELECT id FROM jobcron_type WHERE name = 'foo_job.{name}'", ()).fetchone()[0]
    bare.commit()
    claim = bare.prepared(statement("claim", bare.dialect))
    write = bare.prepared(WRITE)
    complete = bare.prepared(statement("complete", bare.dialect))
    taking = {
        "type": type_id,
        "batch": BATCH,
        "lease_seconds": LEASE_SECONDS,
        "claimed_by": "bare",
        "crash_limit": 3,
        "section": "",
    }
    done = 0
    while True:
        bare.begin()
        claimed = bare.execute(claim, taking).fetchall()
        if claimed:
            numbers = ", ".join(str(row[0]) for row in claimed)
            loaded = bare.execute(LOAD.format(numbers=numbers, name=name), ()).fetchall()
        bare.commit()
        if not claimed:
            return done
        foos = {row[0]: row[-2] for row in loaded}
        following = [*((row[0], row[1]) for row in claimed[1:]), (None, None)]
        for (number, token, *_), (after, after_token) in zip(claimed, following, strict=True):
            bare.begin()
            if name == "WRITE":
                bare.execute(write, {"name": "written", "foo": foos[number]})
            ended = {"id": number, "token": token, "progress": None, "steps": None}
            ended |= {"next": after, "next_token": after_token}
            done += len(bare.execute(complete, ended).fetchall())
            bare.commit()


if __name__ == "__main__":
    connection = connect(sys.argv[1], in_transactions=sys.argv[2] == "transactions")
    time_work(lambda: drain(connection, sys.argv[3]))
