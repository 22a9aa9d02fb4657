"""Another database takes over: a standby that is promoted under a run, a subscriber of the tables, a dump.

Nothing acknowledged is lost, and the same URL finds the promoted server.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest

import fooapp
from instances import Instance, wait_until
from jobcron import Database, DatabaseUnavailable, Job, JobStatus
from jobcron.commands.main import main
from jobcron.database.upgrade import upgrade_schema
from jobcron.settings.database_url import libpq_url
from jobcron.testing.programs import find_programs, server_environment
from jobcron.testing.server import PrivatePostgreSQL
from runner_processes import Gate, Run
from standby import Standby, execute, follow_at_once

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\n"


class Failing(NamedTuple):
    """An instance whose server has just crashed under a run.

    Attributes:
        instance: its URL names both servers.
        standby: the server that can take over.
        run: the run that was cut off.
        done: a job whose end was acknowledged.
        cut: the job that the run is at.
    """

    instance: Instance
    standby: Standby
    run: Run
    done: int
    cut: int


def url_of(*servers: PrivatePostgreSQL) -> str:
    """Return libpq's URL of the first of these servers that takes writes."""
    hosts = ",".join(f"{quote(str(server.directory), safe='')}:{server.port}" for server in servers)
    return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"


def with_tables(server: PrivatePostgreSQL, database: str) -> str:
    """Make all tables in a database of a server, and return its URL."""
    made = Database(server.url(database))
    with made.begin() as connection:
        upgrade_schema(connection, database)
        fooapp.Base.metadata.create_all(connection)
    made.close()
    return server.url(database)


@contextmanager
def failing(tmp_path: Path, gate: Gate) -> Iterator[Failing]:
    """Run two jobs, of which one is done, and crash the server under the other one."""
    with PrivatePostgreSQL(in_memory=True) as primary:
        with_tables(primary, "postgres")
        with Standby(primary) as standby:
            follow_at_once(primary)
            instance = Instance(tmp_path / "instance", url_of(primary, standby))
            instance.configure(sections=SECTIONS)
            jobs = [instance.act(("write", "done")), instance.act(("write", "cut"), gate.touch, gate.wait)]
            run = Run(instance.start("act"))
            gate.reached()
            instance.database.close()
            primary.stop("immediate")
            with pytest.raises(DatabaseUnavailable, match="read-write|read-only"), instance.database.begin():
                pass  # nobody takes writes yet
            yield Failing(instance, standby, run, *jobs)
            assert [(job, note) for job, _, note in instance.ledger()] == [(jobs[0], "done"), (jobs[1], "cut")]
            instance.database.close()


@pytest.mark.feature("LP-16")
def test_a_run_goes_on_at_the_standby_and_loses_nothing(tmp_path: Path, gate: Gate) -> None:
    with failing(tmp_path, gate) as found:
        found.standby.promote()
        assert found.instance.row(found.done).status is JobStatus.COMPLETED
        assert found.instance.row(found.cut).status is JobStatus.RUNNING
        gate.open()
        assert "connection to the database was lost" in found.run.end()
        row = found.instance.row(found.cut)
        assert (row.status, row.attempt_count) == (JobStatus.WAITING, 0)
        found.instance.query("UPDATE jobcron_job SET scheduled_start = date_created")
        found.instance.run("act")
        assert found.instance.row(found.cut).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-16")
def test_a_standby_that_is_promoted_too_late_is_an_outage(tmp_path: Path, gate: Gate) -> None:
    with failing(tmp_path, gate) as found:
        gate.open()
        log = found.run.end(1)
        assert log.count("ERROR") == 1
        assert "it is decided by its lease" in log
        found.standby.promote()
        assert found.instance.row(found.done).status is JobStatus.COMPLETED
        found.instance.end_lease(found.cut)
        _, err = found.instance.command("run", "act")
        assert "The database is there again" in err
        assert found.instance.row(found.cut).status is JobStatus.COMPLETED


@contextmanager
def subscribed(server: PrivatePostgreSQL, old: str, new: str) -> Iterator[None]:
    """Replicate all tables but that of the version, from one database to another, until the end of the block."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'jobcron_schema_version'"
    tables = ", ".join(str(name) for (name,) in execute(server, query, database=old))
    slot = "SELECT pg_create_logical_replication_slot('moving', 'pgoutput')"
    execute(server, f"CREATE PUBLICATION moving FOR TABLE {tables}", slot, database=old)
    place = f"host={server.directory} port={server.port} user=postgres dbname={old}"
    # In one cluster the subscription would wait for itself if it made the slot.
    options = "WITH (create_slot = false, slot_name = 'moving')"
    execute(server, f"CREATE SUBSCRIPTION moving CONNECTION '{place}' PUBLICATION moving {options}", database=new)
    pending = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'"
    wait_until(lambda: execute(server, pending, database=new) == [(0,)], "all tables to be copied")
    yield
    execute(server, "DROP SUBSCRIPTION moving", database=new)


def test_a_subscriber_of_the_tables_takes_over_once_it_is_made_safe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with PrivatePostgreSQL(in_memory=True, settings={"wal_level": "logical"}) as server:
        for name in ("old", "new"):
            server.create_database(name)
        instance = Instance(tmp_path / "old", with_tables(server, "old"))
        other = Instance(tmp_path / "new", with_tables(server, "new"))
        for each in (instance, other):
            each.configure(sections=SECTIONS)
        failed, waiting = instance.act(("raise", "value")), 0
        with subscribed(server, "old", "new"):
            instance.run("act")  # claims and ends are moves that the subscriber's triggers do not see
            waiting = instance.act(("write", "moved"))
            wait_until(lambda: len(other.rows()) == 2 and other.events(failed) == ["failed"], "the last changes")
        instance.database.close()
        assert main(["--config", str(other.path), "restored", "--yes"]) == 0
        for table in ("foo", "ledger"):  # the application's own sequences are its own concern
            other.query(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id) + 1000) FROM foo")
        assert f"job {waiting} (foo_job.ACT): WAITING" in capsys.readouterr().out
        with other.session() as session:
            session.get_one(Job, waiting).resume()
        new = other.act(("write", "new"))
        other.run("act")
        assert [(job, note) for job, _, note in other.ledger()] == [(waiting, "moved"), (new, "new")]
        assert other.events(waiting) == ["suspended", "resumed"]
        other.database.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_dump_is_restored_and_gives_out_no_number_a_second_time(
    instance: Instance, server: PrivatePostgreSQL, tmp_path: Path
) -> None:
    def call(program: str, *arguments: str) -> None:
        subprocess.run([find_programs() / program, *arguments], env=server_environment(), check=True)

    job, dump = instance.act(("write", "first")), str(tmp_path / "jobs.dump")
    call("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={libpq_url(instance.url)}")
    lost = instance.act(("write", "lost"))
    instance.run("act")
    seen = {number: instance.row(number).lease_token for number in (job, lost)}
    instance.database.close()
    server.create_database("restored")
    call("pg_restore", "--exit-on-error", f"--dbname={libpq_url(server.url('restored'))}", dump)
    restored = Instance(tmp_path / "restored", server.url("restored"))
    assert main(["--config", str(restored.path), "restored", "--yes"]) == 0
    restored.run("act")
    assert restored.row(job).status is JobStatus.SUSPENDED
    assert restored.ledger() == []
    with restored.session() as session:
        session.get_one(Job, job).resume()
    assert restored.act(("write", "new")) > lost
    restored.run("act")
    assert restored.row(job).lease_token > seen[job]
    assert [note for _, _, note in restored.ledger()] == ["first", "new"]
    restored.database.close()
    server.drop_database("restored")
