"""The tick: what a run costs when nothing is ready, and when it is not to be believed."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from fooapp import DoFooJob, OwnReadyJob
from instances import Instance
from jobcron import JobStatus
from jobcron.commands._check_runs import check_runs
from jobcron.commands.checks._check_config import check_config
from jobcron.database.sql import lines
from jobcron.queue import tick
from jobcron.scripts.code_stamp import COARSE_SECONDS, NAME
from query_cost import cost_of, noted_statements, statement_cost
from script_runs import do_foo
from ticks import imports_of, set_job, shifted, took_the_full_path

MANY = 20_000

GONE = ("host:1/abc", "host:2/def")


def test_a_tick_with_nothing_to_do_loads_nothing_heavy(quiet: Instance) -> None:
    assert imports_of(quiet, "do_foo") == set()
    assert imports_of(quiet, "do_foo", 0, f"--log-file={quiet.path}/log/do_foo.log") == set()


def test_a_source_by_the_name_of_another_module_is_known_as_well(quiet: Instance) -> None:
    (quiet.path / "shopfront.py").write_text("from fooapp import DoFooJob, IActJobSource\n")
    section = "[{0}]\nsource_interface: shopfront.{1}\n"
    own = f"[more]\nsource_interface: fooapp.DoFooJob\n{section.format('front', 'DoFooJob')}"
    quiet.configure(sections=own + section.format("desk", "IActJobSource"))
    conf = quiet.path / "jobcron.conf"
    conf.write_text(conf.read_text().replace("python_path: ", f"python_path: {quiet.path} "))
    time.sleep(2 * COARSE_SECONDS)  # or the code may have changed while the run started
    for name in ("front", "desk"):
        quiet.run(name)
        quiet.database.close()
        assert imports_of(quiet, name) == set()
    job = do_foo(quiet)
    quiet.database.close()
    assert took_the_full_path(quiet, "front")
    assert quiet.row(job).status is JobStatus.COMPLETED
    assert not took_the_full_path(quiet, "front")


def test_jobs_that_are_not_ready_do_not_make_a_tick_heavy(quiet: Instance) -> None:
    for status in ("2", "3", "5", "6"):
        job = do_foo(quiet)
        if status == "3":
            set_job(quiet, job, status="1", lease_token="1", lease_expires=shifted(quiet, 300))
        set_job(quiet, job, status=status, date_finished=shifted(quiet, 0), lease_expires="NULL")
    set_job(quiet, do_foo(quiet), status="4")
    set_job(quiet, do_foo(quiet), scheduled_start=shifted(quiet, 3600))
    set_job(quiet, do_foo(quiet), lease_expires=shifted(quiet, 300))
    set_job(quiet, do_foo(quiet), status="1", lease_token="1", lease_expires=shifted(quiet, 300))
    set_job(quiet, do_foo(quiet), scheduled_start=shifted(quiet, 3600), expires_at=shifted(quiet, 7200))
    quiet.act()  # of another type
    quiet.database.close()
    assert imports_of(quiet, "do_foo") == set()
    assert {row.status for row in quiet.rows()} >= {JobStatus.WAITING, JobStatus.RUNNING, JobStatus.FAILED}


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize(
    "what", ["ready", "ready for a while", "dead", "expired", "lease by hand over", "hurried"]
)
def test_a_job_to_be_seen_to_takes_the_full_path(quiet: Instance, what: str) -> None:
    job = do_foo(quiet)
    expected = JobStatus.COMPLETED
    match what:
        case "ready for a while":
            set_job(quiet, job, scheduled_start=shifted(quiet, -90_000))
        case "dead":
            set_job(quiet, job, status="1", lease_token="1", lease_expires=shifted(quiet, -1))
        case "expired":
            past, future = shifted(quiet, -1), shifted(quiet, 3600)
            set_job(quiet, job, expires_at=past, scheduled_start=future)
            expected = JobStatus.EXPIRED
        case "lease by hand over":
            set_job(quiet, job, lease_expires=shifted(quiet, -1))
        case "hurried":
            set_job(quiet, job, priority="-5")
            for priority in (-7, -6, -5, 0):
                set_job(quiet, do_foo(quiet), priority=str(priority), scheduled_start=shifted(quiet, 3600))
    quiet.database.close()
    assert took_the_full_path(quiet, "do_foo")
    assert quiet.row(job).status is expected
    quiet.database.close()
    assert not took_the_full_path(quiet, "do_foo")


def test_a_source_whose_type_is_not_noted_takes_the_full_path_once(quiet: Instance) -> None:
    (quiet.state / NAME).unlink()
    assert took_the_full_path(quiet, "do_foo")
    assert not took_the_full_path(quiet, "do_foo")


def test_a_type_that_the_database_does_not_know_takes_the_full_path_once(instance: Instance) -> None:
    instance.run("act")
    for table in ("jobcron_source", "jobcron_type"):  # another database, perhaps
        instance.query(f"DELETE FROM {table}")
    instance.query("UPDATE jobcron_run SET name = 'do_foo'")
    instance.database.close()
    assert took_the_full_path(instance, "do_foo")
    assert not took_the_full_path(instance, "do_foo")


def test_a_source_with_its_own_iter_ready_always_takes_the_full_path(instance: Instance) -> None:
    instance.run("own_ready")
    instance.database.close()
    for _ in range(2):
        assert took_the_full_path(instance, "own_ready")
    with instance.session() as session:
        job = OwnReadyJob.create(instance.foo(session), session=session).job.id
    assert took_the_full_path(instance, "own_ready")
    assert instance.row(job).status is JobStatus.COMPLETED


def test_a_source_made_by_hand_always_takes_the_full_path(instance: Instance) -> None:
    instance.run("handmade")
    instance.database.close()
    for _ in range(2):
        assert took_the_full_path(instance, "handmade")


def test_missing_tables_take_the_full_path_which_says_so(quiet: Instance) -> None:
    quiet.query("DROP VIEW jobcron_jobs")
    for table in ("jobcron_edge", "jobcron_event", "jobcron_mail", "jobcron_offer", "foo_job", "jobcron_job"):
        quiet.query(f"DROP TABLE {table}")
    quiet.query("DROP TABLE jobcron_schema_version")
    quiet.database.close()
    assert took_the_full_path(quiet, "do_foo", expect=1)


def fingerprint(instance: Instance) -> str:
    """Return something that changes with any write to the database."""
    if instance.database.dialect == "sqlite":
        path = Path(instance.url.removeprefix("sqlite:///"))
        files = sorted(path.parent.glob(f"{path.name}*"))
        return " ".join(f"{p.name}:{hashlib.sha256(p.read_bytes()).hexdigest()}" for p in files)
    ((xid,),) = instance.query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    instance.database.close()
    return str(xid)


@pytest.mark.feature("LP-27", "N-04")
def test_an_empty_tick_writes_nothing_but_the_time_of_its_lock_file(quiet: Instance) -> None:
    lock = quiet.state / "locks" / "do_foo.lock"
    imports_of(quiet, "do_foo")
    for _ in range(3):  # an autovacuum may write as well
        os.utime(lock, (0, 0))
        before, began = fingerprint(quiet), time.time()
        assert imports_of(quiet, "do_foo") == set()
        after = fingerprint(quiet)
        assert lock.stat().st_mtime >= began - 1
        if after == before:
            break
    assert after == before
    assert quiet.query("SELECT count(*) FROM jobcron_run WHERE name = 'do_foo'") == [(1,)]


@pytest.fixture
def crowded(quiet: Instance) -> Instance:
    """Return an instance with many jobs of a better priority that are not due, and one that is."""
    job = do_foo(quiet, priority=10)
    soon, later = shifted(quiet, 3600), shifted(quiet, 7200)
    quiet.multiply(job, MANY, priority="5", scheduled_start=soon, expires_at=later)
    quiet.multiply(job, 2 * MANY, status="2", date_finished=shifted(quiet, -3600))  # and a history
    if quiet.database.dialect == "postgresql":
        quiet.query("ANALYZE jobcron_job")
    quiet.database.close()
    return quiet


def test_jobs_that_are_not_due_are_not_waded_through(crowded: Instance) -> None:
    ((number,),) = crowded.query("SELECT id FROM jobcron_type WHERE name = 'foo_job.DO_FOO'")
    claimant = {"lease_seconds": 300.0, "claimed_by": "me", "crash_limit": 3, "section": "do_foo"}
    statements: dict[str, dict[str, Any]] = {
        "tick": {
            "type": DoFooJob.type_name,
            "run_name": "do_foo",
            "minus_activity_interval": -600.0,
            "minus_patience": 0.0,
            "gone": lines(GONE),
        },
        "claim": {"type": number, "batch": 100, **claimant},
        "dead": {"type": number, "gone": lines(GONE), **claimant},
        "expire": {"type": number, "batch": 1000},
        "count_pending": {"type": number, "limit": 500},
    }
    costs = {name: statement_cost(crowded, name, **values) for name, values in statements.items()}
    assert max(costs.values()) < MANY / 4, costs


def test_no_statement_of_a_run_looks_at_many_jobs_that_are_not_due_or_have_ended(crowded: Instance) -> None:
    crowded.act(("write", "x"))
    later = crowded.act(("raise", "retryable"))
    with noted_statements() as noted:
        crowded.run("act")
    assert crowded.events(later) == ["retry"]
    assert most_looked_at(crowded, noted)[0] < MANY / 4, most_looked_at(crowded, noted)


def test_a_check_of_the_sections_looks_at_few_jobs(crowded: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    with noted_statements() as noted:
        check_runs(str(crowded.path), [])
    assert "do_foo" in capsys.readouterr().out
    assert most_looked_at(crowded, noted)[0] < MANY / 4, most_looked_at(crowded, noted)


def most_looked_at(instance: Instance, noted: list[tuple[str, Any]]) -> tuple[float, str]:
    """Return how much the statement that looks at most has to look at, and which one it is."""
    asked = [(text, values) for text, values in noted if re.match("(SELECT|UPDATE|WITH)", text)]
    assert len(asked) > 5
    return max((cost_of(instance, text, values), text) for text, values in asked)


def test_the_clock_is_compared_with_the_newest_job_and_no_other_is_read(
    crowded: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    with noted_statements() as noted:
        check_config(str(crowded.path))
    assert capsys.readouterr().out.count("ok") > 1
    asked = [(text, values) for text, values in noted if text.startswith("SELECT") and "date_created" in text]
    assert len(asked) == 1
    assert cost_of(crowded, *asked[0]) < MANY / 4


def test_a_crowd_that_is_not_due_makes_a_tick_neither_heavy_nor_blind(crowded: Instance) -> None:
    assert took_the_full_path(crowded, "do_foo")
    assert crowded.query("SELECT count(*) FROM jobcron_job WHERE status = 2 AND claimed_by IS NOT NULL") == [(1,)]
    crowded.database.close()
    assert imports_of(crowded, "do_foo") == set()


def test_a_loop_over_the_priorities_ends_with_many_of_them(quiet: Instance) -> None:
    last = do_foo(quiet, priority=1000)
    for priority in range(-50, 50):
        set_job(quiet, do_foo(quiet), priority=str(priority), scheduled_start=shifted(quiet, 3600))
    quiet.database.close()
    assert took_the_full_path(quiet, "do_foo")
    assert quiet.row(last).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-16")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lock_on_the_tables_holds_up_a_tick_for_a_while_only(
    quiet: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick, "ANSWER_SECONDS", 1)
    gone: dict[str, tuple[str, ...]] = {}
    question = (quiet.url, None, {"do_foo": DoFooJob.type_name}, 600.0, gone)
    assert tick.with_work(*question) == set()
    with quiet.database.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE jobcron_job IN ACCESS EXCLUSIVE MODE")
        assert tick.with_work(*question) == {"do_foo"}
    assert tick.with_work(*question) == set()
