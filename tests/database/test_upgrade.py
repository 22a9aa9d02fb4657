"""``jobcron upgrade``: jobcron's tables in a database that may hold others."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import inspect, text

from instances import Instance
from jobcron import DatabaseUnavailable, JobStatus
from jobcron.database import upgrade
from jobcron.database.upgrade import upgrade_schema
from jobcron.database.version import REVISION, VERSION_TABLE
from migrations import upgrade_to
from paths import JOBCRON
from query_cost import noted_statements


def test_upgrade_makes_the_tables_and_a_second_one_changes_nothing(empty: Instance) -> None:
    out, _ = empty.command("upgrade")
    assert f"was upgraded from nothing (version {REVISION})" in out
    out, _ = empty.command("upgrade")
    assert f"is up to date (version {REVISION})" in out
    # The types of the application are known from the start: the first tick need not import it.
    names = {name for (name,) in empty.query("SELECT name FROM jobcron_source")}
    assert {"fooapp.IDoFooJobSource", "fooapp.DoFooJob"} <= names


def test_upgrade_leaves_the_applications_tables_and_versions_alone(empty: Instance) -> None:
    empty.query("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
    empty.query("INSERT INTO alembic_version VALUES ('theirs')")
    empty.query("CREATE TABLE theirs (id integer)")
    empty.command("upgrade")
    assert empty.query("SELECT version_num FROM alembic_version") == [("theirs",)]
    tables = set(inspect(empty.database.engine).get_table_names())
    assert {t for t in tables if not t.startswith("jobcron_")} == {"alembic_version", "theirs"}


def test_two_upgrades_at_once_make_the_tables_once(empty: Instance) -> None:
    both = [
        subprocess.Popen([JOBCRON, "--config", str(empty.path), "upgrade"], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = [(p.wait(timeout=60), p.stderr.read() if p.stderr else "") for p in both]
    assert results == [(0, ""), (0, "")]
    assert empty.query(f"SELECT version_num FROM {VERSION_TABLE}") == [(REVISION,)]


def test_tables_that_are_newer_than_the_code_are_refused(instance: Instance) -> None:
    instance.query(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    _, err = instance.command("upgrade", expect=1)
    assert "found 9999: this code is older than the tables" in err
    instance.query(f"UPDATE {VERSION_TABLE} SET oldest_code = '9998'")
    _, err = instance.command("run", "do_foo", expect=1)
    assert "found 9999, which serves code of 9998 or newer: update this code" in err
    assert "Traceback" not in err


def test_an_upgrade_keeps_the_jobs_that_are_there(empty: Instance) -> None:
    upgrade_to(empty, "0001")
    empty.query("INSERT INTO jobcron_type (name) VALUES ('foo_job.ACT')")
    empty.query(
        "INSERT INTO jobcron_job (id, uuid, type, json_data) "
        "SELECT 7, '6f1c3b0f7a0e4f0e8d2a5b1c9e3d4f5a', id, '{\"do\": []}' FROM jobcron_type"
    )
    out, _ = empty.command("upgrade")
    assert f"was upgraded from 0001 (version {REVISION})" in out
    (job,) = empty.rows()
    assert (job.id, job.json_data, job.target_type) == (7, {"do": []}, None)
    assert empty.query(f"SELECT version_num, oldest_code FROM {VERSION_TABLE}") == [(REVISION, "0005")]


def test_a_job_that_ran_when_the_tables_were_upgraded_keeps_its_lease(empty: Instance) -> None:
    upgrade_to(empty, "0002")
    empty.query("INSERT INTO jobcron_type (name) VALUES ('foo_job.ACT')")
    moment = "2026-01-01 00:00:00.000000"
    empty.query(
        "INSERT INTO jobcron_job (id, uuid, type, status, lease_token, lease_expires, attempt_count, progress) "
        f"SELECT 7, '6f1c3b0f7a0e4f0e8d2a5b1c9e3d4f5a', id, 1, 3, '{moment}', 2, 40 FROM jobcron_type"
    )
    empty.command("upgrade")
    job = empty.row(7)
    assert (job.status, job.lease_token, job.attempt_count, job.progress) == (JobStatus.RUNNING, 3, 2, 40)
    assert empty.lease_end(7) == job.lease_expires
    assert empty.renewals() == []


def test_an_upgrade_that_fails_leaves_nothing_behind(empty: Instance) -> None:
    empty.query("CREATE TABLE jobcron_run (id integer)")
    with pytest.raises(Exception, match="jobcron_run"), empty.database.begin() as connection:
        upgrade_schema(connection, "here")
    assert inspect(empty.database.engine).get_table_names() == ["jobcron_run"]


@pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
@pytest.mark.parametrize("command", ["upgrade", "queue_depth", "prune"])
def test_a_role_without_rights_is_told_so_without_a_traceback(empty: Instance, command: str) -> None:
    empty.query("DO $$ BEGIN CREATE ROLE without_rights LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    empty.query("REVOKE CREATE ON SCHEMA public FROM public")  # the default since PostgreSQL 15
    if command != "upgrade":
        empty.command("upgrade")
    path = empty.path / "jobcron.conf"
    path.write_text(path.read_text().replace("//postgres@", "//without_rights@"))
    _, err = empty.command(command, expect=2 if command == "upgrade" else 1)
    assert "Traceback" not in err
    assert "permission denied for " in err
    if command == "upgrade":
        assert "expected a role that may create jobcron's tables" in err
        assert "permission denied for schema public. Since PostgreSQL 15" in err


on_postgresql = pytest.mark.parametrize("empty", ["postgresql"], indirect=True)


@on_postgresql
def test_jobs_are_created_all_the_while_behind_a_reader_that_stays_open(empty: Instance) -> None:
    upgrade_to(empty, "0001")
    empty.query("INSERT INTO jobcron_type (name) VALUES ('foo_job.ACT')")
    told: list[str] = []
    report = empty.database.engine.connect()
    report.execute(text("SELECT count(*) FROM jobcron_job"))  # and its transaction stays open
    patience = upgrade.Patience(lock=0.2, pause=0.1, long_lock=0.2)
    with ThreadPoolExecutor() as pool:
        done = pool.submit(upgrade.upgrade_in_use, empty.database, told.append, patience)
        waited: list[float] = []
        while len(waited) < 20 or not told:
            began = time.monotonic()
            empty.query(
                "INSERT INTO jobcron_job (uuid, type, json_data) SELECT gen_random_uuid(), id, '{}' "
                "FROM jobcron_type"
            )
            empty.query("UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = now() WHERE id = 1")
            waited.append(time.monotonic() - began)
        assert not done.done()
        report.close()
        assert done.result(60) == "0001"
    assert max(waited) < 2, "held up for longer than the upgrade waits for a lock"
    assert "waits until the tables are free of process " in told[0]
    assert "idle in transaction" in told[0]
    assert empty.query(f"SELECT version_num FROM {VERSION_TABLE}") == [(REVISION,)]


@on_postgresql
def test_each_third_try_of_an_upgrade_waits_long_enough_for_the_server_to_cancel_an_autovacuum(
    empty: Instance,
) -> None:
    upgrade_to(empty, "0001")
    patience = upgrade.Patience(lock=0.05, pause=0.01, in_all=120)
    with empty.database.engine.connect() as report, noted_statements() as noted, ThreadPoolExecutor() as pool:
        report.execute(text("SELECT count(*) FROM jobcron_job"))
        deadlock_timeout = report.scalar(
            text("SELECT setting::float FROM pg_settings WHERE name = 'deadlock_timeout'")
        )
        done = pool.submit(upgrade.upgrade_in_use, empty.database, lambda line: None, patience)
        deadline = time.monotonic() + 60
        while len(waits := lock_timeouts(noted)) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        report.close()
        assert done.result(60) == "0001"
    assert waits[:4] == [50, 50, 1500, 50]
    assert deadlock_timeout is not None
    assert deadlock_timeout < 1500


def lock_timeouts(noted: list[tuple[str, Any]]) -> list[int]:
    """Return how long each try of a step waits for a lock, in milliseconds."""
    return [int(line.rpartition(" ")[2]) for line, _ in list(noted) if line.startswith("SET LOCAL lock_timeout")]


@on_postgresql
def test_an_upgrade_behind_a_reader_that_does_not_end_gives_up_and_names_it(empty: Instance) -> None:
    upgrade_to(empty, "0001")
    with empty.database.engine.connect() as report:
        report.execute(text("SELECT count(*) FROM jobcron_job"))
        with pytest.raises(
            DatabaseUnavailable, match=r"because they are in use by process \d+ of .*upgrade again"
        ):
            upgrade.upgrade_in_use(empty.database, print, upgrade.Patience(lock=0.1, pause=0.1, in_all=0.3))
    empty.command("upgrade")
    assert empty.query(f"SELECT version_num FROM {VERSION_TABLE}") == [(REVISION,)]


@on_postgresql
def test_an_index_whose_build_was_broken_off_is_built_again(empty: Instance) -> None:
    empty.command("upgrade")
    empty.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'jobcron_job_target'::regclass")
    out, _ = empty.command("upgrade")
    assert "DROP INDEX CONCURRENTLY IF EXISTS jobcron_job_target" in out
    empty.query("DROP INDEX jobcron_job_uuid")
    out, _ = empty.command("upgrade")
    assert "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS jobcron_job_uuid" in out
    assert "CONCURRENTLY" not in empty.command("upgrade")[0]
    valid = empty.query("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'jobcron_job'::regclass")
    assert valid == [(True,)]


@pytest.mark.parametrize("before", ["nothing", "0001"])
def test_every_way_to_the_newest_tables_makes_the_indexes_that_code_needs(empty: Instance, before: str) -> None:
    if before != "nothing":
        upgrade_to(empty, before)
    empty.command("upgrade")
    # SQLAlchemy passes over indexes of expressions on SQLite.
    named = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
        "postgresql": "SELECT indexname FROM pg_indexes",
    }
    found = {name for (name,) in empty.query(named[empty.database.dialect])}
    names = ("aside", "expiring", "free", "key", "lane", "leased", "limited", "placed", "target", "uuid")
    assert found >= {f"jobcron_job_{name}" for name in names}
    # Code of before, which still claims on other hosts, needs it; new tables have no such code.
    for name in ("jobcron_job_ready", "jobcron_job_unique"):
        assert (name in found) == (before != "nothing")
    (oldest,) = empty.query(f"SELECT oldest_code FROM {VERSION_TABLE}")
    assert oldest == ("0016" if before == "nothing" else "0005",)
    empty.command("upgrade")
    again = {name for (name,) in empty.query(named[empty.database.dialect])}
    assert again == found
