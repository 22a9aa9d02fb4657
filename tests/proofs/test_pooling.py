"""PostgreSQL behind a pooler that hands out connections by the transaction: nothing may be bound to a session."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from jobcron.testing.programs import server_account
from jobcron.testing.server import PrivatePostgreSQL
from proofapp import LEASE_VARIABLE
from proving import HERE, IS_CHAOS, JOBS, Proof, Runs, drain

POOL_SIZE = 2

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server.port} user=postgres password={server.password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
server_reset_query_always = 0
logfile = {folder}/log
pidfile = {folder}/pid
"""


class Pooler:
    """A private pgbouncer before a server.

    Args:
        server: the server.

    Raises:
        RuntimeError: there is no pgbouncer.
    """

    def __init__(self, server: PrivatePostgreSQL) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise RuntimeError("pgbouncer is missing: on Debian and Ubuntu apt-get install pgbouncer")
        self.folder = Path(tempfile.mkdtemp(prefix="jobcron-pool-", dir="/tmp"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        path = self.folder / "pgbouncer.ini"
        values = {"server": server, "port": self.port, "pool_size": POOL_SIZE, "folder": self.folder}
        path.write_text(CONFIGURATION.format(**values))
        account = server_account()
        for owned in (self.folder, path):
            if account:
                os.chown(owned, account["user"], account["group"])
        path.chmod(0o600)
        self._process = subprocess.Popen([program, "-q", str(path)], **account)

    def url(self, database: str) -> str:
        """Return the URL of a database, through the pooler."""
        return f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}/{database}"

    def wait(self, database: str) -> None:
        """Wait until it answers."""
        for _ in range(100):
            with suppress(psycopg2.OperationalError):
                psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname=database).close()
                return
            time.sleep(0.05)
        raise RuntimeError(f"pgbouncer does not answer:\n{(self.folder / 'log').read_text()}")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)


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
        run = runs.run(url=pooled, count=True)
        assert run["status"] == 0, runs.log()
        assert proof.verdict(is_calm=True) == []
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        for place in random.Random(seed).sample(range(1, run["lines"]), 200 if IS_CHAOS else 10):
            first, *_ = proof.make(JOBS)
            assert runs.run(url=pooled, die_at=place)["status"] in (0, -signal.SIGKILL)
            drain(proof, runs, url=pooled)
            found = proof.verdict(since=first, crash_limit=10)
            assert found == [], f"killed before line {place} of the run: {found}"
        nothing_is_bound_to_a_session(proof)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_more_clients_than_connections_do_all_jobs_once(proof: Proof, pooled: str) -> None:
    stop, log = proof.path / "stop", (proof.path / "workers.log").open("a")
    kinds = ("ledger", "bank", "checkpoint", "failing", "user", "retried", "slow", "unique")
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
