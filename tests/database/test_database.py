"""Databases that are absent, refuse, or are none: named with their reason."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from instances import Instance
from jobcron import ConfigurationError, Database, DatabaseUnavailable
from paths import JOBCRON
from script_runs import do_foo, reconfigure, refused, untouched

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before there is a database."""


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_database_that_is_absent_is_named(instance: Instance, by_environment: bool) -> None:
    if instance.database.dialect == "sqlite":
        url, place = f"sqlite:///{instance.path}/missing/foo.db", "missing/foo.db"
    else:
        port = free_port()
        url, place = f"postgresql://me:c4nary-pw@127.0.0.1:{port}/foo", f"127.0.0.1:{port}/foo"
    env = {"JOBCRON_DATABASE_URL": url} if by_environment else {}
    if not by_environment:
        reconfigure(instance, database_url=url)
    first = refused(instance, expect=1, env=env)
    _, second = instance.command("run", "do_foo", "-v", expect=1, extra_env=env)
    for message in (first, second):
        assert "cannot connect to the database" in message
        assert place in message
        assert "c4nary" not in message
    assert not (instance.path / "missing").exists()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_postgresql_that_refuses_is_named_with_its_reason(instance: Instance) -> None:
    job = do_foo(instance)
    instance.configure(sections="[plain]\nsource_interface: fooapp.IDoFooJobSource\n")  # no role: the URL's user
    url = instance.database.engine.url
    for wrong, reason in (
        (url.set(database="no_such_db"), 'database "no_such_db" does not exist'),
        (url.set(username="no_such_role", password="c4nary-pw"), 'role "no_such_role" does not exist'),
    ):
        reconfigure(instance, database_url=wrong.render_as_string(hide_password=False))
        message = refused(instance, "plain", expect=1)
        assert "cannot connect to the database" in message
        assert reason in message
        assert "c4nary" not in message
    untouched(instance, job)


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/db", "postgresql://u:c4nary-pw@h:abc/db"])
@on_sqlite
def test_a_url_in_the_environment_that_is_none_is_refused_with_its_variable(instance: Instance, url: str) -> None:
    job = do_foo(instance)
    message = refused(instance, expect=2, env={"JOBCRON_DATABASE_URL": url})
    assert "JOBCRON_DATABASE_URL" in message
    assert "expected" in message
    assert "c4nary" not in message
    untouched(instance, job)


@on_sqlite
def test_an_sqlite_file_that_is_no_database_is_named(instance: Instance) -> None:
    path = instance.path / "text.db"
    path.write_text("This is a text, and not a short one, of more than a hundred bytes. " * 3)
    reconfigure(instance, database_url=f"sqlite:///{path}")
    message = refused(instance, expect=1)
    assert str(path) in message
    assert path.read_text().startswith("This is a text")


def test_sqlite_without_a_write_ahead_log_is_refused_with_the_reason(tmp_path: Path) -> None:
    """As on a file system without shared memory; this way of locking has none either."""
    database = Database(f"sqlite:///file:{tmp_path}/shop.db?vfs=unix-dotfile&uri=true", origin="shop.conf")
    said = "shop.conf: sqlite.+ keep a write-ahead log, got .+ mode delete"
    with pytest.raises(ConfigurationError, match=said), database.begin():
        pass
    database.close()


def test_sqlite_in_a_file_that_nobody_may_write_is_told_without_a_traceback(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    database = Database(f"sqlite:///file:{tmp_path}/shop.db?mode=ro&uri=true")
    with pytest.raises(DatabaseUnavailable, match="attempt to write a readonly database"), database.begin():
        pass
    database.close()


AS_ANYBODY = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
"""What lets a command of root's be refused what it may not do by its files' modes."""


@on_sqlite
@pytest.mark.parametrize("closed", ["", "-shm"])
def test_an_sqlite_that_may_not_be_written_is_named_without_a_traceback(instance: Instance, closed: str) -> None:
    job = do_foo(instance)
    path = Path(f"{instance.database.engine.url.database}{closed}")
    with instance.database.begin(writing=False) as reading:  # while a connection is open, the others are there
        reading.exec_driver_sql("SELECT 1 FROM foo")
        path.chmod(0o400)
        for words in ("run do_foo", "check-config", f"cancel {job}", "create foo_job.ACT --target 1"):
            command = [*AS_ANYBODY, str(JOBCRON), "--config", str(instance.path), *words.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 1, (words, done)
            assert "Traceback" not in done.stderr
            assert f"this user may not read and write {path}" in done.stdout + done.stderr, (words, done)
        path.chmod(0o600)
    untouched(instance, job)
