"""``jobcron runners``, and ``--watch``, which shows the same again until somebody presses Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import make_url

from instances import Instance
from jobcron.queue.claim import Claimant, claim_one
from jobcron.testing.server import PrivatePostgreSQL
from operating import Operator
from paths import JOBCRON
from standby import execute


def test_runners_are_printed_with_their_jobs(operator: Operator) -> None:
    operator.instance.run("act")
    number = operator.instance.act()
    with operator.instance.session() as session:
        assert claim_one(session.connection(), number, Claimant("elsewhere:7/0a", 300.0))
    (row,) = operator.table("runners")
    assert (row["host"], row["pid"], row["sections"], row["jobs"], row["first job"], row["sign of death"]) == (
        "elsewhere", "7", "act", "1", str(number), "-",
    )  # fmt: skip
    (runner,) = operator.json("runners")["runners"]
    assert list(runner) == [
        "name", "host", "pid", "sections", "jobs", "job", "since", "lease_expires", "renewed", "death",
        "worker", "groups",
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["jobs", "sections", "runners", "workers", "runs"])
def test_what_is_watched_needs_a_terminal_and_is_no_json(operator: Operator, command: str) -> None:
    operator(command, "--watch", expect=2)
    assert "expected standard output to be a terminal for --watch" in operator.err
    operator(command, "--watch", "1s", "--json", expect=2)
    assert "expected --watch or --json, got both" in operator.err
    operator(command, "--watch", "0.1s", expect=2)
    assert "expected --watch with at least 0.2s, got: 0.1s" in operator.err


@contextmanager
def watching_jobs(instance: Instance) -> Iterator[Callable[[], bytes]]:
    """Watch the jobs on a terminal; yield what reads from it. At the end Ctrl-C ends it with status 0."""
    reading, writing = pty.openpty()
    command = [str(JOBCRON), "--config", str(instance.path), "jobs", "--watch", "0.3s"]
    process = subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    try:
        yield lambda: os.read(reading, 10_000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(reading)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_watched_list_says_that_the_database_is_away_and_goes_on_when_it_is_back(
    instance: Instance, server: PrivatePostgreSQL
) -> None:
    instance.act()
    name = make_url(instance.url).database
    with watching_jobs(instance) as read:

        def reads(word: bytes) -> None:
            seen, limit = b"", time.monotonic() + 60
            while word not in seen:
                assert time.monotonic() < limit, seen[-2000:]
                seen += read()

        reads(b"WAITING")
        execute(server, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        execute(server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        reads(b"cannot connect to the database")
        execute(server, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        reads(b"WAITING")


def test_a_watched_list_refreshes_until_ctrl_c_and_ends_with_status_0(instance: Instance) -> None:
    seen = b""
    limit = time.monotonic() + 60
    with watching_jobs(instance) as read:
        while b"WAITING" not in seen and time.monotonic() < limit:
            seen += read()
            if seen.count(b"Ctrl-C ends") == 2:
                instance.act()
    assert b"WAITING" in seen
    assert seen.startswith(b"\x1b[2J\x1b[Hjobcron jobs, every 0.3 s; Ctrl-C ends")
