"""SQLite's file that is moved, removed or replaced under a run, and databases that are damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

import isolated_jobs
import misbehavingapp
from fooapp import ActJob
from instances import Instance
from jobcron import Database, DatabaseUnusable, Job, JobCronScript, JobStatus, after_commit
from jobcron.runner._clock import Runtime
from jobcron.testing import BufferLogger

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

DAMAGE = {
    "sqlite": "SELECT * FROM damaged",
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'invalid page in block 7' USING ERRCODE = 'XX001'; END $$",
}
"""Statements that find a table damaged, after `damage`."""


def path_of(instance: Instance) -> Path:
    """Return the file of an instance's database."""
    return Path(instance.database.engine.url.database or "")


def replace_by_copy(path: Path) -> None:
    """Rename a copy over the file, as whoever restores a backup does."""
    shutil.copy(path, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


def recreate_log(path: Path) -> None:
    """Remove the log; the next process makes another one."""
    log = Path(f"{path}-wal")
    log.unlink()
    log.touch()


WAYS: dict[str, Callable[[Path], Any]] = {
    "moved": lambda path: path.rename(path.with_suffix(".old")),
    "its folder moved": lambda path: path.parent.rename(path.parent.with_suffix(".old")),
    "removed": Path.unlink,
    "renamed over": replace_by_copy,
    "its log removed": lambda path: Path(f"{path}-wal").unlink(),
    "its log replaced": recreate_log,
}


def run(instance: Instance, section: str = "act", *arguments: str) -> tuple[int, list[str], str]:
    """Run a section in this process; return the exit status, the errors that are logged, and the whole log."""
    logger = BufferLogger()
    script = JobCronScript(
        commandline_config=True, test_args=[section, "--config", str(instance.path), *arguments], logger=logger
    )
    status = 0
    try:
        script.lock_and_run()
    except SystemExit as end:
        status = int(str(end.code))
    errors = [record.getMessage() for record in logger.records if record.levelname == "ERROR"]
    return status, errors, logger.getLogBuffer()


def moved_instance(instance: Instance, tmp_path: Path) -> Instance:
    """Return an instance whose database has a folder to itself, which may be moved."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "jobs.db"
    with sqlite3.connect(path) as target, sqlite3.connect(path_of(instance)) as source:
        source.backup(target)
    target.close()
    source.close()
    return Instance(tmp_path / "moved", f"sqlite:///{path}")


@pytest.mark.feature("LP-16")
@on_sqlite
@pytest.mark.parametrize("way", WAYS)
def test_a_run_notices_that_its_file_is_another_one(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    instance = moved_instance(instance, tmp_path)
    job, path, runs = instance.act(), path_of(instance), []
    other = instance.act()
    instance.database.close()

    def act(self: ActJob) -> None:
        runs.append(self.job.id)
        self.act_write("in vain")
        WAYS[way](path)

    monkeypatch.setattr(ActJob, "run", act)
    status, errors, log = run(instance)
    assert status == 1
    (error,) = errors
    assert str(path) in error
    assert "while it was in use" in error
    assert "Traceback" not in log
    assert "Ran 1" not in log
    assert runs == [job]
    assert not instance.oopses()
    if "log" in way:
        return  # what is left of the file is a matter of luck
    found = [each for each in (path, path.with_suffix(".old"), tmp_path / "data.old" / path.name) if each.exists()]
    for each in found:
        left = Database(f"sqlite:///{each}")
        with left.begin() as connection:
            rows = connection.exec_driver_sql("SELECT id, status FROM jobcron_job ORDER BY id").all()
            assert JobStatus.COMPLETED not in [status for _, status in rows]
            assert [number for number, _ in rows] == [job, other]
            assert not connection.exec_driver_sql("SELECT 1 FROM ledger").all()
        left.close()
    assert bool(found) == (way != "removed")


@pytest.mark.feature("LP-16")
@on_sqlite
def test_a_file_that_is_removed_while_a_commit_is_written_ends_the_run(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(instance)

    def act(self: ActJob) -> None:
        def remove(statement: str) -> None:
            if statement == "COMMIT":
                path.unlink(missing_ok=True)

        self.act_write("in vain")
        self.session.connection().connection.driver_connection.set_trace_callback(remove)  # type: ignore[union-attr]

    monkeypatch.setattr(ActJob, "run", act)
    instance.act()
    status, (error,), log = run(instance)
    assert status == 1
    assert "was moved or removed while it was in use" in error
    assert "Ran 1" not in log


@pytest.mark.feature("LP-16")
@on_sqlite
def test_a_file_that_is_removed_after_the_last_job_is_noticed_when_the_run_is_recorded(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, may_start = path_of(instance), iter([True, False])

    def act(self: ActJob) -> None:
        after_commit(self.session, path.unlink)

    monkeypatch.setattr(ActJob, "run", act)
    monkeypatch.setattr(Runtime, "may_start", lambda self: next(may_start))
    monkeypatch.setattr(Runtime, "tell", lambda self, logger: None)  # as with max_runtime
    instance.act()
    status, (error,), log = run(instance)
    assert status == 1
    assert "was moved or removed while it was in use" in error


@pytest.mark.feature("LP-16")
@on_sqlite
def test_a_file_that_was_removed_is_not_created_again(instance: Instance) -> None:
    path = path_of(instance)
    with instance.database.begin():
        pass
    path.unlink()
    instance.database.close()
    companion = instance.database.companion()
    for database in (instance.database, companion):
        with pytest.raises(DatabaseUnusable, match="was moved or removed"), database.begin():
            pass
    assert not path.exists()


@pytest.mark.feature("LP-16")
def test_a_process_may_go_to_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite:///here.db")
    (tmp_path / "elsewhere").mkdir()
    for folder in (".", "elsewhere"):
        os.chdir(folder)
        with database.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (x)")
    database.close()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["here.db"]


@pytest.mark.feature("LP-16")
@on_sqlite
def test_a_backup_that_is_restored_by_the_database_itself_does_no_harm_under_a_run(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, path = instance.act(), path_of(instance)
    backup = tmp_path / "backup.db"
    with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
        source.backup(target)

    def act(self: ActJob) -> None:
        runs.append(self.job.id)
        if len(runs) == 1:
            target.backup(source)
        self.act_write(f"run {len(runs)}")

    runs: list[int] = []
    monkeypatch.setattr(ActJob, "run", act)
    status, errors, log = run(instance)
    source.close()
    target.close()
    assert (status, errors, runs) == (0, [], [job, job])  # the row was that of the backup: waiting
    assert "lost its lease" in log
    assert instance.ledger() == [(job, 1, "run 2")]
    assert instance.query("PRAGMA integrity_check") == [("ok",)]


def damage(instance: Instance) -> None:
    """Damage a table that is not jobcron's."""
    if instance.database.dialect == "postgresql":
        return
    instance.query("CREATE TABLE damaged (x)")
    instance.query("INSERT INTO damaged SELECT zeroblob(3000) FROM (SELECT 1 FROM sqlite_schema LIMIT 20)")
    instance.database.close()
    with sqlite3.connect(path_of(instance)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'damaged'")
        ((size,),) = connection.execute("PRAGMA page_size")
    connection.close()
    with path_of(instance).open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.feature("LP-16")
@pytest.mark.parametrize("swallows", [False, True], ids=["raises", "swallows"])
def test_a_job_that_meets_damage_is_not_to_blame_and_the_run_says_so(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, swallows: bool
) -> None:
    damage(instance)
    job, other = instance.act(), instance.act()

    def act(self: ActJob) -> None:
        if self.job.id != job:
            return
        try:
            self.act_sql(DAMAGE[self.session.get_bind().dialect.name])
        except DBAPIError:
            if not swallows:
                raise

    monkeypatch.setattr(ActJob, "run", act)
    status, (error,), log = run(instance)
    assert status == 1
    assert "the database is damaged" in error or "unfit for use" in error
    assert "malformed" in error or "invalid page" in error
    assert "Traceback" not in log
    row = instance.row(job)
    assert instance.row(other).status is JobStatus.WAITING
    assert not instance.oopses()
    if instance.database.dialect == "postgresql" or not swallows:
        assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.WAITING, 0, 0)
        assert instance.events(job) == ["interrupted"]
        assert row.date_started is not None
        assert row.scheduled_start > row.date_started  # its turn is later: the others run
        with instance.session() as session:  # later than a slow machine takes
            session.get_one(Job, job).scheduled_start += timedelta(hours=1)
    assert run(instance)[0] == 0
    assert instance.row(other).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-16")
@on_sqlite
def test_a_damaged_file_is_told_each_time_however_quiet(instance: Instance) -> None:
    instance.act()
    instance.database.close()
    with path_of(instance).open("r+b") as file:
        file.write(b"not a database at all")
    for _ in range(2):
        out, err = instance.command("run", "act", "-q", "-q", expect=1)
        assert out == ""
        assert "ERROR" in err
        assert "file is not a database" in err
        assert "Traceback" not in err
    assert not (instance.state / "act.outage").exists()


@pytest.mark.feature("LP-24")
@on_sqlite
def test_the_damage_that_an_isolated_job_meets_ends_the_run_likewise(instance: Instance) -> None:
    isolated_jobs.configure(instance)
    with instance.database.begin() as connection:
        misbehavingapp.Base.metadata.create_all(connection)
    damage(instance)
    (job,) = isolated_jobs.make(instance, "read_damage")
    _, err = instance.command("run", "harsh", "-q", "-q", expect=1)
    assert "malformed" in err
    assert "Traceback" not in err
    assert instance.row(job).status is JobStatus.WAITING
    assert not (instance.state / "harsh.outage").exists()
