"""``jobcron upgrade``: jobcron's tables in a database that may hold others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from instances import Instance
from jobcron import JobStatus
from jobcron.database.tables import Base
from jobcron.database.upgrade import upgrade_schema
from jobcron.database.version import REVISION, VERSION_TABLE
from jobcron.settings.settings import PACKAGE
from jobcron.testing.server import PrivatePostgreSQL
from paths import JOBCRON


def upgrade_to(instance: Instance, revision: str) -> None:
    """Make the tables as they were at a revision."""
    config = Config()
    config.set_main_option("script_location", f"{PACKAGE}/database/schema")
    with instance.database.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Instance]:
    """Return an instance whose database is empty."""
    if request.param == "sqlite":
        instance = Instance(tmp_path / "instance", f"sqlite:///{tmp_path / 'empty.db'}")
        yield instance
        instance.database.close()
        return
    server: PrivatePostgreSQL = request.getfixturevalue("server")
    server.create_database("empty")
    instance = Instance(tmp_path / "instance", server.url("empty"))
    yield instance
    instance.database.close()
    server.drop_database("empty")


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


def test_older_code_works_on_newer_tables_as_far_back_as_their_migration_says(instance: Instance) -> None:
    instance.query(f"UPDATE {VERSION_TABLE} SET version_num = '9999', oldest_code = '{REVISION}'")
    instance.query("ALTER TABLE jobcron_job ADD COLUMN something_new text")
    job = instance.act()
    instance.command("run", "act")
    assert instance.row(job).status is JobStatus.COMPLETED


def test_tables_that_are_older_than_the_code_are_refused(empty: Instance) -> None:
    empty.configure(
        sections="[telling]\nsource_interface: fooapp.TellingJob\n"
    )  # without a role: it has no rights yet
    upgrade_to(empty, "0001")
    _, err = empty.command("run", "telling", expect=1)
    assert "to be of version 0002 or newer, found 0001: run `jobcron upgrade`" in err
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


def test_every_migration_but_the_first_says_how_far_back_code_may_be() -> None:
    for revision in ScriptDirectory(f"{PACKAGE}/database/schema").walk_revisions():
        if revision.revision != "0001":
            assert "0001" <= revision.module.OLDEST_CODE <= revision.revision


def test_an_upgrade_that_fails_leaves_nothing_behind(empty: Instance) -> None:
    empty.query("CREATE TABLE jobcron_run (id integer)")
    with pytest.raises(Exception, match="jobcron_run"), empty.database.begin() as connection:
        upgrade_schema(connection, "here")
    assert inspect(empty.database.engine).get_table_names() == ["jobcron_run"]


def test_the_code_knows_the_newest_migration() -> None:
    assert ScriptDirectory(f"{PACKAGE}/database/schema").get_heads() == [REVISION]


def test_the_tables_are_what_the_classes_say(instance: Instance) -> None:
    with instance.database.begin() as connection:
        options = {
            "include_object": lambda thing, name, kind, reflected, other: (
                kind != "index" and (kind != "table" or (name.startswith("jobcron_") and name != VERSION_TABLE))
            )
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
