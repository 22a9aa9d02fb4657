"""Tables that are missing, too old or too new for the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from instances import Instance
from jobcron import JobStatus
from jobcron.database.version import REVISION, VERSION_TABLE
from jobcron.settings.settings import PACKAGE
from migrations import upgrade_to
from script_runs import do_foo, reconfigure, refused, untouched


def test_a_schema_that_is_missing_is_refused_with_the_way_to_make_it(instance: Instance) -> None:
    instance.query("DROP TABLE jobcron_schema_version")
    job = do_foo(instance)
    message = refused(instance, expect=1)
    for part in ("expected jobcron's tables in the database", "found none", "jobcron upgrade"):
        assert part in message
    untouched(instance, job)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("script", ["run", "prune"])
def test_a_file_that_was_moved_away_is_not_created_again(instance: Instance, script: str) -> None:
    instance.database.close()
    path = Path(instance.database.engine.url.database or "")
    path.rename(path.with_suffix(".moved"))
    _, err = instance.command(script, *(["do_foo"] if script == "run" else []), expect=1)
    assert "found none: run `jobcron upgrade`" in err
    assert not path.exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_empty_database_is_refused_with_the_way_to_fill_it(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    reconfigure(instance, database_url=f"sqlite:///{path}")
    message = refused(instance, expect=1)
    assert str(path) in message
    assert "jobcron upgrade" in message


def test_a_schema_of_another_version_is_refused(instance: Instance) -> None:
    instance.query("UPDATE jobcron_schema_version SET version_num = '9999', oldest_code = '9999'")
    job = do_foo(instance)
    message = refused(instance, expect=1)
    assert "9999" in message
    assert "expected jobcron's tables" in message
    untouched(instance, job)


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
    assert f"to be of version {REVISION} or newer, found 0001: run `jobcron upgrade`" in err
    assert "Traceback" not in err


def test_every_migration_but_the_first_says_how_far_back_code_may_be() -> None:
    for revision in ScriptDirectory(f"{PACKAGE}/database/schema").walk_revisions():
        if revision.revision != "0001":
            assert "0001" <= revision.module.OLDEST_CODE <= revision.revision


def test_the_code_knows_the_newest_migration() -> None:
    assert ScriptDirectory(f"{PACKAGE}/database/schema").get_heads() == [REVISION]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_commits_before_it_has_written_is_told(instance: Instance) -> None:
    assert "may lose committed jobs" not in instance.run("do_foo")
    ((name,),) = instance.query("SELECT current_database()")
    instance.query(f"ALTER DATABASE {name} SET synchronous_commit = off")
    instance.database.close()
    log = instance.run("do_foo")
    assert "runs with synchronous_commit=off: a crash of its server may lose committed jobs" in log
