"""A batch whose first job is still held by somebody else: the others go back, and the next batch is looked at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from fooapp import ActJob
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.queue.claim import Claimant, reclaim

ME = Claimant("me", 300.0)

# On SQLite nobody holds a row while another one looks.
pytestmark = [pytest.mark.parametrize("database_url", ["postgresql"], indirect=True), pytest.mark.feature("LP-23")]

WAITS = """
    SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE pg_stat_activity.datname = current_database() AND NOT granted
"""


def left_behind(instance: Instance, *jobs: int, by: str) -> None:
    """Make jobs those of a batch of a dead run, of which at most the first one had begun."""
    for job in jobs:
        instance.query(
            "UPDATE jobcron_job SET status = 1, lease_token = 1, claimed_by = :by, "
            "date_started = date_trunc('hour', now() - interval '2 hours'), "
            "lease_expires = now() - interval '1 hour' WHERE id = :id",
            id=job,
            by=by,
        )


def keyed(instance: Instance, foo: int) -> int:
    """Commit a job with a key, and return its number."""
    with instance.session() as session:
        return int(ActJob.acquire(foo_id=foo, unique_key="k", session=session).id)


def taken(connection: Connection, instance: Instance) -> list[int]:
    """Take over a dead job, as a run does, and return its number."""
    (number,) = instance.query("SELECT DISTINCT type FROM jobcron_job")[0]
    return [claim.id for claim in reclaim(connection, number, ME)]


def test_the_next_batch_is_taken_over_in_the_same_look(instance: Instance) -> None:
    held, neighbour, other = instance.act(), instance.act(), instance.act()
    left_behind(instance, held, neighbour, by="one run")
    left_behind(instance, other, by="another run")
    with instance.database.begin() as holder, instance.database.begin() as connection:
        holder.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": held})
        assert taken(connection, instance) == [other]
    assert instance.row(neighbour).status is JobStatus.WAITING


def test_a_job_whose_key_is_taken_while_it_goes_back_gives_way_and_the_next_batch_is_taken_over(
    instance: Instance,
) -> None:
    with instance.session() as session:
        foo = instance.foo(session).id
    held, neighbour, other = instance.act(), keyed(instance, foo), instance.act()
    left_behind(instance, held, neighbour, by="one run")
    left_behind(instance, other, by="another run")
    with (
        ThreadPoolExecutor() as pool,
        instance.database.begin() as holder,
        instance.database.begin() as connection,
    ):
        holder.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": held})
        with instance.database.session() as creating:
            twin = ActJob.acquire(foo_id=foo, unique_key="k", session=creating).id
            creating.flush()
            found = pool.submit(taken, connection, instance)
            wait_until(lambda: bool(instance.query(WAITS)), "the key is waited for")
            creating.commit()
        assert found.result(30) == [other]
    assert instance.row(neighbour).status is JobStatus.CANCELLED
    assert instance.row(twin).status is JobStatus.WAITING
