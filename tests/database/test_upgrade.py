"""``jobcron upgrade``: jobcron's tables in a database that may hold others."""

from __future__ import annotations

import subprocess

import pytest
from sqlalchemy import inspect

from instances import Instance
from jobcron.database.upgrade import upgrade_schema
from jobcron.database.version import REVISION, VERSION_TABLE
from migrations import upgrade_to
from paths import JOBCRON


def test_upgrade_makes_the_tables_and_a_second_one_changes_nothing(empty: Instance) -> None:
    out, _ = empty.command("upgrade")
    assert "was upgraded from nothing (version 0002)" in out
    out, _ = empty.command("upgrade")
    assert "is up to date (version 0002)" in out
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
    assert "was upgraded from 0001 (version 0002)" in out
    (job,) = empty.rows()
    assert (job.id, job.json_data, job.target_type) == (7, {"do": []}, None)
    assert empty.query(f"SELECT version_num, oldest_code FROM {VERSION_TABLE}") == [("0002", "0001")]


def test_an_upgrade_that_fails_leaves_nothing_behind(empty: Instance) -> None:
    empty.query("CREATE TABLE jobcron_run (id integer)")
    with pytest.raises(Exception, match="jobcron_run"), empty.database.begin() as connection:
        upgrade_schema(connection, "here")
    assert inspect(empty.database.engine).get_table_names() == ["jobcron_run"]
