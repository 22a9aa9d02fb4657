"""The lock of a section on hosts that reach PostgreSQL through a pooler in transaction mode (LP-32)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

from hosts import holding, hosts_of, row_of
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.testing.server import PrivatePostgreSQL
from pooler import Pooler
from runner_processes import Gate, started

WRITTEN = ("first", "second", "third")

OVER = "SELECT 1 FROM jobcron_lock WHERE lease_expires > now() AND now() > :first"
"""Finds the lock's row once the time of its first lease is over, and it is held all the same."""


@pytest.fixture
def pooled(database_url: str, server: PrivatePostgreSQL) -> Iterator[str]:
    """Return the URL of the instance's database through a pooler."""
    pooler = Pooler(server)
    try:
        name = str(make_url(database_url).database)
        pooler.wait(name)
        yield pooler.url(name)
    finally:
        pooler.close()


@pytest.mark.feature("LP-32")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_hosts_behind_a_pooler_run_a_section_one_after_the_other(
    instance: Instance, pooled: str, gate: Gate
) -> None:
    with hosts_of(instance, lease="10s") as (here, there):
        for host in (here, there):
            path = host.path / "jobcron.conf"
            path.write_text(path.read_text().replace(instance.url, pooled))
            assert pooled in path.read_text()
        jobs = [here.act(gate.touch, gate.wait, ("write", "first")), here.act(("write", "second"))]
        with holding(here, gate) as run:
            lock = row_of(here)
            with started(there, "act") as other:
                assert f"is held by process {run.process.pid} on " in other.end(3)
            wait_until(lambda: here.query(OVER, first=lock.lease_expires), "a renewal", 60)
            with started(there, "act") as other:
                assert "is held by" in other.end(3)
            assert row_of(here).token == lock.token
            gate.open()
            assert "Ran 2 ActJob jobs." in run.end()
        assert row_of(here).lease_expires is None
        jobs.append(here.act(("write", "third")))
        with started(there, "act") as other:
            assert "Ran 1 ActJob jobs." in other.end()
        assert row_of(here).token == lock.token + 1
        assert here.ledger() == [(job, 1, note) for job, note in zip(jobs, WRITTEN, strict=True)]
        assert [here.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 3
