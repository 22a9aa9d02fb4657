"""A database that pg_upgrade has moved into a new cluster: jobs run there, and tokens and numbers go on.

Only the major version of these programs is there, so both clusters are of it. What pg_upgrade copies is the same.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

import fooapp
from instances import Instance, wait_until
from jobcron import Database, JobStatus
from jobcron.database.upgrade import upgrade_schema
from jobcron.testing.programs import find_programs
from jobcron.testing.server import PrivatePostgreSQL


def with_tables(server: PrivatePostgreSQL) -> str:
    """Make a database with all tables, and return its URL."""
    server.create_database("shop")
    with closing(Database(server.url("shop"))) as database, database.begin() as connection:
        upgrade_schema(connection, "shop")
        fooapp.Base.metadata.create_all(connection)
    return server.url("shop")


def upgrade(old: PrivatePostgreSQL, new: PrivatePostgreSQL) -> None:
    """Move all databases of a cluster into a new one; neither runs."""
    programs, cluster = str(find_programs()), new._cluster
    process = cluster.popen(
        "pg_upgrade",
        *("--old-bindir", programs, "--new-bindir", programs, "--username", "postgres"),
        *("--old-datadir", str(old._cluster.data), "--new-datadir", str(cluster.data)),
        *("--old-port", str(old.port), "--new-port", str(new.port), "--link"),
    )
    assert process.wait(120) == 0, cluster.log.read_text()


@pytest.mark.feature("N-13")
def test_jobs_run_after_pg_upgrade_and_tokens_and_numbers_go_on(tmp_path: Path) -> None:
    sections = "[act]\nsource_interface: fooapp.IActJobSource\n"
    with PrivatePostgreSQL(in_memory=True) as old, closing(PrivatePostgreSQL(in_memory=True)) as new:
        before = Instance(tmp_path / "instance", with_tables(old))
        before.configure(sections=sections)
        done = before.act(("write", "before"))
        before.run("act")
        cut = before.act(("write", "cut"), ("kill_once", str(tmp_path / "killed")))
        process = before.start("act")
        wait_until(lambda: process.poll() is not None, "the run that is killed")
        waiting = before.act(("write", "after"))
        token = before.row(cut).lease_token
        before.end_lease(cut)
        before.database.close()
        old.stop()
        upgrade(old, new)
        new.start()
        after = Instance(tmp_path / "instance", new.url("shop"))
        after.configure(sections=sections)
        after.command("check-config")
        after.run("act")
        rows = {row.id: row for row in after.rows()}
        assert {row.status for row in rows.values()} == {JobStatus.COMPLETED}
        assert (rows[cut].crash_count, rows[cut].lease_token) == (1, token + 1)
        assert sorted(note for _, _, note in after.ledger()) == ["after", "before", "cut"]
        assert after.act() == waiting + 1
        with pytest.raises(DBAPIError, match="the move from status"):  # the triggers are there
            after.query(f"UPDATE jobcron_job SET lease_token = 0 WHERE id = {done}")
        after.database.close()
