"""Processes that start at the same moment, and a long queue for them."""

from __future__ import annotations

import sys

from fooapp import DoFooJob, FooJobType
from instances import Instance
from jobcron.testing import run_script
from paths import APPS


def race(instance: Instance, what: str, count: int) -> list[int]:
    """Let so many processes do it at once; return what each of them printed."""
    arguments = [str(APPS / "simultaneous.py"), what, str(count), instance.url]
    _, out, _ = run_script(sys.executable, arguments)
    return [int(line) for line in out.splitlines()]


def make_queue(instance: Instance, length: int) -> None:
    """Commit so many DoFooJobs, each for a foo of its own."""
    with instance.session() as session:
        first = DoFooJob.create(instance.foo(session), session=session).job
        type_id = first.type_id
    many = f"WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {length}) "
    new_uuid = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}
    instance.query(f"{many} INSERT INTO foo (id, name, frozzled) SELECT i, 'foo', 0 FROM n")
    instance.query(
        f"{many} INSERT INTO jobcron_job (id, uuid, type) "
        f"SELECT i, {new_uuid[instance.database.dialect]}, {type_id} FROM n"
    )
    instance.query(
        f"{many} INSERT INTO foo_job (job, job_type, foo_id) SELECT i, {FooJobType.DO_FOO.value}, i FROM n"
    )
