"""A worker is seen while it lives, and its row goes by itself."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from instances import Instance
from jobcron.testing.server import PrivatePostgreSQL
from migrations import upgrade_again_from
from worker_processes import eventually, is_completed, worker

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\n"


@pytest.fixture
def shop(instance: Instance) -> Instance:
    """Return an instance with a section."""
    instance.configure(sections=SECTIONS)
    return instance


def rows(instance: Instance) -> list[tuple[object, ...]]:
    return instance.query("SELECT pid, sections, processes, most_processes FROM jobcron_worker ORDER BY started")


@pytest.mark.feature("OCQ-07")
def test_a_worker_has_a_row_with_its_facts_until_it_leaves(shop: Instance) -> None:
    begun, go = shop.path / "begun", shop.path / "go"
    job = shop.act(("touch", str(begun)), ("wait_for", str(go)))
    with worker(shop, "--processes", "3") as running:
        eventually(lambda: begun.exists() and rows(shop))
        assert [row[0] for row in rows(shop)] == [running.process.pid]
        out, _ = shop.command("workers")
        heads, line = (text.split("\t") for text in out.splitlines())
        shown = dict(zip(heads, line, strict=True))
        assert (shown["host"], shown["pid"]) == (os.uname().nodename, str(running.process.pid))
        assert (shown["sections"], shown["jobs"], shown["sign of death"]) == ("act", "1", "-")
        assert shown["processes"] in ("0 of 3", "1 of 3")
        out, _ = shop.command("runners")
        heads, line = (text.split("\t") for text in out.splitlines())
        assert dict(zip(heads, line, strict=True))["worker"] == f"{os.uname().nodename}:{running.process.pid}"
        go.touch()
        eventually(is_completed(shop, job))
        assert running.stop() == 0
    assert rows(shop) == []


@pytest.mark.feature("OCQ-07")
def test_the_row_of_a_killed_worker_says_so_and_goes_when_another_one_takes_its_place(shop: Instance) -> None:
    with worker(shop) as running:
        eventually(lambda: rows(shop))
        children = running.children()
        running.process.kill()
        running.process.wait()
        dead = running.process.pid
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    shop.command("run", "act")
    out, _ = shop.command("check-runs", expect=1)
    assert f":{dead} of act: this host has no process {dead}" in out
    assert "all workers" in out
    out, _ = shop.command("doctor", expect=1)
    assert "start it again; its row goes by itself" in out
    past = "now() - interval '1 s'" if shop.database.dialect == "postgresql" else "'2020-01-01 00:00:00.000000'"
    shop.query(f"UPDATE jobcron_worker SET silent_after = {past}")
    with worker(shop) as running:
        eventually(lambda: [row[0] for row in rows(shop)] == [running.process.pid])
        assert running.stop() == 0


def test_signs_of_life_are_rare_however_often_it_looks(shop: Instance) -> None:
    with worker(shop, "--poll", "0.01") as running:
        eventually(lambda: rows(shop))
        first = shop.query("SELECT seen FROM jobcron_worker")
        time.sleep(3)
        assert shop.query("SELECT seen FROM jobcron_worker") == first
        eventually(lambda: shop.query("SELECT seen FROM jobcron_worker") != first)
        assert running.stop() == 0


@pytest.mark.feature("OCQ-07")
def test_a_worker_that_cannot_be_seen_works_all_the_same_and_says_so_once(shop: Instance) -> None:
    shop.query("DROP TABLE jobcron_worker")
    job = shop.act(("write", "done"))
    with worker(shop) as running:
        eventually(is_completed(shop, job))
        eventually(lambda: "may not show this worker" in running.log.read_text())
        assert running.stop() == 0
    assert running.log.read_text().count("may not show this worker") == 1
    assert "ERROR" not in running.log.read_text()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_role_that_could_run_before_an_upgrade_can_be_seen_after_it(shop: Instance) -> None:
    upgrade_again_from(shop, "0011")
    shop.configure(sections=f"{SECTIONS}dbuser: foo_runner\n")
    with worker(shop) as running:
        eventually(lambda: rows(shop))
        assert running.stop() == 0
    assert rows(shop) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_that_has_sqlites_lock_does_not_hold_up_the_supervisor(shop: Instance, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    job = shop.act(("write", "held"), ("touch", str(begun)), ("wait_for", str(go)))
    with worker(shop) as running:
        eventually(begun.exists)
        began = time.monotonic()
        time.sleep(11)  # a sign is due, and cannot be written
        go.touch()
        eventually(is_completed(shop, job))
        assert running.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 30


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Instance]:
    """Return an instance with a section whose database has no tables."""
    if request.param == "sqlite":
        made = Instance(tmp_path / "empty", f"sqlite:///{tmp_path / 'empty.db'}")
        with closing(sqlite3.connect(tmp_path / "empty.db")) as database:
            database.execute("CREATE TABLE other (id integer)")
    else:
        server: PrivatePostgreSQL = request.getfixturevalue("server")
        server.create_database("worker_empty")
        made = Instance(tmp_path / "empty", server.url("worker_empty"))
    made.configure(sections=SECTIONS)
    yield made
    made.database.close()
    if request.param == "postgresql":
        server.drop_database("worker_empty")


def test_where_there_are_no_tables_it_says_what_to_run_and_nothing_else_until_they_are_there(
    empty: Instance,
) -> None:
    with worker(empty, "act", "--poll", "0.1") as running:
        eventually(lambda: running.log.exists() and running.log.read_text().count("run `jobcron upgrade`") > 1)
        told = running.log.read_text().splitlines()
        empty.command("upgrade")
        eventually(lambda: empty.query("SELECT pid FROM jobcron_worker"))
        assert running.stop() == 0
    assert [line for line in told if "none: run `jobcron upgrade`" not in line] == told[:1]
    assert "The worker runs act." in told[0]
