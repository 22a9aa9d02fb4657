"""PostgreSQL behind a pooler that hands out connections by the transaction: nothing may be bound to a session."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from instances import Instance
from jobcron import Database, JobStatus
from jobcron.testing.server import PrivatePostgreSQL
from pooler import POOL_SIZE, Pooler
from proofapp import LEASE_VARIABLE
from proving import HERE, IS_CHAOS, JOBS, Proof, Runs, drain


@pytest.fixture
def pooled(proof: Proof, server: PrivatePostgreSQL) -> Iterator[str]:
    """Return the URL of the proof's database through a pooler."""
    pooler = Pooler(server)
    try:
        name = str(make_url(proof.url).database)
        pooler.wait(name)
        yield pooler.url(name)
    finally:
        pooler.close()


def nothing_is_bound_to_a_session(proof: Proof) -> None:
    """Look for what a session of a pooler must not keep, and for more connections than the pool has."""
    assert proof.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    backends = proof.query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND client_port IS NOT NULL "
        "AND client_addr IS NOT NULL"
    )[0][0]
    assert backends <= POOL_SIZE, f"{backends} connections for a pool of {POOL_SIZE}"


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_deaths_behind_a_pooler_lose_nothing_and_double_nothing(proof: Proof, pooled: str) -> None:
    with Runs(proof) as runs:
        proof.make(JOBS)
        runs.warm()
        proof.make(JOBS)
        lines = runs.lines(url=pooled)
        drain(proof, runs, url=pooled)  # what is to be retried
        assert proof.verdict(is_calm=True) == []
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        for place in random.Random(seed).sample(range(1, len(lines)), 200 if IS_CHAOS else 10):
            first, *_ = proof.make(JOBS)
            assert runs.run(url=pooled, die_at=place)["status"] in (0, -signal.SIGKILL)
            drain(proof, runs, url=pooled)
            found = proof.verdict(since=first, crash_limit=10)
            assert found == [], f"killed before line {place} of the run: {found}"
        nothing_is_bound_to_a_session(proof)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_more_clients_than_connections_do_all_jobs_once(proof: Proof, pooled: str) -> None:
    stop, log = proof.path / "stop", (proof.path / "workers.log").open("a")
    kinds = ("ledger", "bank", "transfer", "checkpoint", "failing", "user", "retried", "slow", "unique")
    workers = []
    for number in range(POOL_SIZE + 1):
        places = [str(proof.instance(f"host-{number}", pooled)), str(stop), str(proof.path / "resources")]
        env = {**os.environ, LEASE_VARIABLE: "5"}
        workers.append(subprocess.Popen([sys.executable, str(HERE / "worker.py"), *places], env=env, stderr=log))
    for _ in range(40):
        proof.make(kinds)
    deadline = time.monotonic() + 90
    while not proof.is_drained() and time.monotonic() < deadline:
        proof.make_due()
        nothing_is_bound_to_a_session(proof)
        time.sleep(0.1)
    stop.touch()
    assert [worker.wait(60) for worker in workers] == [0] * len(workers), (proof.path / "workers.log").read_text()
    log.close()
    assert proof.verdict() == [], (proof.path / "workers.log").read_text()


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_client_of_a_pooler_gets_what_a_job_set_and_all_keep_what_they_prepared(
    proof: Proof, pooled: str, server: PrivatePostgreSQL
) -> None:
    asked = (
        "SELECT pg_backend_pid(), current_setting('search_path'), current_setting('TimeZone'), current_user::text,"
        " to_regclass('pg_temp.kept')::text, (SELECT count(*) FROM pg_prepared_statements)"
    )
    with closing(Database(pooled)) as jobs, closing(psycopg2.connect(pooled.replace("+psycopg2", ""))) as client:
        client.autocommit = True
        with client.cursor() as cursor:
            cursor.execute("PREPARE of_the_pooler AS SELECT 1")
            cursor.execute(asked)
            before = cursor.fetchone()
            with jobs.session() as session:
                session.execute(text("SET search_path = elsewhere; SET TIME ZONE 'Asia/Tokyo'"))
                session.execute(text("CREATE TEMP TABLE kept (id int); SET ROLE pg_monitor"))
                jobs.leave(session)
                assert session.scalar(text("SELECT pg_backend_pid()")) == (before or [0])[0]
                session.commit()
            jobs.job_ended()
            cursor.execute(asked)
            assert cursor.fetchone() == before
            assert before is not None
            assert before[-1] == 1
            with jobs.session() as session:
                values = {"id": 0, "token": 1, "progress": None, "steps": None, "next": None, "next_token": None}
                for _ in range(3):
                    assert jobs.execute_alone(session, "complete", values) == []
            cursor.execute(asked)
            assert cursor.fetchone() == before
            with jobs.begin() as connection:
                named = connection.exec_driver_sql("SELECT current_setting('application_name')").scalar()
    assert named == "jobcron"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_tables_are_made_through_a_pooler(proof: Proof, pooled: str, server: PrivatePostgreSQL) -> None:
    name = f"pooled_{os.getpid()}"
    server.create_database(name)
    url = str(make_url(pooled).set(database=name).render_as_string(hide_password=False))
    done = subprocess.run(
        [sys.executable, "-m", "jobcron.commands", "--config", str(proof.path / "instance"), "upgrade"],
        env={**os.environ, "JOBCRON_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "was upgraded from nothing" in done.stdout


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_that_deletes_its_row_loses_nothing_where_the_pooler_has_no_second_connection(
    instance: Instance, server: PrivatePostgreSQL
) -> None:
    name = str(make_url(instance.url).database)
    job = instance.act(("write", "effect"), ("delete", "both"))
    with closing(Pooler(server, pool_size=1, wait_seconds=1)) as pooler:
        pooler.wait(name)
        there = Instance(instance.path.with_name("there"), pooler.url(name))
        with closing(there.database):
            log = there.run("act")
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.WAITING, 0), log
    assert instance.events(job) == ["interrupted"]
    assert "lost its lease" not in log
    instance.query("GRANT SELECT, UPDATE, DELETE ON jobcron_job, foo_job TO foo_runner")
    instance.make_due()
    instance.run("act")
    assert instance.rows() == []
    assert instance.ledger() == [(job, 1, "effect")]
