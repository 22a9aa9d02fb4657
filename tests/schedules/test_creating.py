"""Schedules create jobs: once for each slot, whatever was missed, whatever dies, however many hosts there are."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from instances import Instance, fork_server
from schedules import Scheduled
from ticks import took_the_full_path

DAY = 86400

AS_HOST = """
import datetime, sys, time_machine
shift = datetime.timedelta(minutes=int(sys.argv.pop(1)))
time_machine.travel(datetime.datetime.now(datetime.UTC) + shift, tick=True).start()
from jobcron.commands.main import main
sys.exit(main())
"""
"""A host whose clock is wrong."""

KILLED = """
import os, signal
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
at = int(os.environ["KILLED_AT"])
count = 0
def statement(connection, cursor, text, *rest):
    global count
    if "jobcron_slot" in text or count:
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
event.listen(Engine, "after_cursor_execute", statement)
event.listen(Engine, "commit", lambda connection: statement(connection, None, ""))
from jobcron.commands.main import main
import sys
sys.exit(main())
"""
"""A run that is killed after a statement or before a commit, counted from the first that writes a slot."""


def hosts(instance: Instance, tmp_path: Path, count: int) -> list[Path]:
    """Return the configurations of so many hosts: each has its own state directory."""
    found = []
    for number in range(count):
        path = tmp_path / f"host{number}" / "instance"
        path.mkdir(parents=True)
        text = (instance.path / "jobcron.conf").read_text()
        path.joinpath("jobcron.conf").write_text(text.replace(str(instance.state), str(path / "state")))
        found.append(path)
    return found


def as_host(place: Path, shift: int) -> tuple[int, str, str]:
    """Run the section on a host whose clock is so many minutes ahead; return how that ended."""
    program = place.with_name("host.py")
    program.write_text(AS_HOST)
    arguments = (str(shift), "--config", str(place), "run", "functions")
    return fork_server().run(program, arguments, os.environ, None, 200)


def test_a_schedule_of_the_configuration_creates_a_job_that_the_same_run_runs(scheduled: Scheduled) -> None:
    scheduled.define()
    assert "The schedule nightly is new." in scheduled.run()
    assert scheduled.jobs == 0
    assert 0 < scheduled.due_in() <= DAY
    scheduled.missed_since(DAY)
    log = scheduled.run()
    assert "The schedule nightly: job 1 for " in log
    assert "Ran 1 FunctionJob jobs." in log
    assert scheduled.instance.ledger() == [(0, 0, "nightly 1")]
    assert scheduled.slots() == [("created", 0, True)]
    assert 0 < scheduled.due_in() <= DAY


@pytest.mark.feature("N-06")
def test_after_an_outage_there_is_one_job_for_all_slots_that_passed(scheduled: Scheduled) -> None:
    scheduled.define("every: 1m")
    scheduled.run()
    scheduled.missed_since(4 * DAY)
    scheduled.run()
    assert scheduled.jobs == 1
    assert scheduled.slots() == [("created", 1000, True)]
    assert 0 < scheduled.due_in() <= 60


def test_a_slot_that_is_later_than_the_grace_gets_no_job(scheduled: Scheduled) -> None:
    scheduled.define("every: 10000d\nmissed: skip\nmissed_grace: 1h")
    scheduled.run()
    scheduled.missed_since(10_000 * DAY)
    scheduled.run()
    assert scheduled.jobs == 0
    assert scheduled.slots() == [("missed", 0, False)]
    assert scheduled.due_in() > 0


def test_a_slot_within_the_grace_gets_its_job(scheduled: Scheduled) -> None:
    scheduled.define("every: 1m\nmissed: skip")
    scheduled.run()
    scheduled.missed_since(300)
    scheduled.run()
    assert scheduled.jobs == 1


@pytest.mark.feature("N-06")
def test_all_missed_slots_get_a_job_up_to_a_bound(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h\nmissed: all\nmissed_bound: 3\noverlap: allow")
    scheduled.run()
    scheduled.missed_since(5 * 3600)
    assert "Ran 3 FunctionJob jobs." in scheduled.run()
    assert scheduled.jobs == 3
    (first, missed, _), *others = scheduled.slots()
    assert (first, others) == ("created", [("created", 0, True)] * 2)
    assert missed in (2, 3)


def test_with_wait_the_missed_slots_get_their_jobs_one_after_the_other(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h\nmissed: all\noverlap: wait")
    scheduled.run()
    scheduled.missed_since(3 * 3600 - 60)
    for jobs in (1, 2, 3):
        scheduled.run()
        assert scheduled.jobs == jobs
    assert scheduled.due_in() > -3600


@pytest.mark.feature("N-06")
def test_a_slot_is_skipped_while_the_last_job_has_not_ended(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(3600)
    scheduled.run()
    scheduled.instance.query(
        "UPDATE jobcron_job SET status = 0, date_finished = NULL, scheduled_start = '2999-01-01'"
    )
    scheduled.instance.query("DELETE FROM jobcron_slot")
    scheduled.missed_since(3600)
    scheduled.run()
    assert scheduled.jobs == 1
    assert scheduled.slots() == [("overlapped", 0, False)]
    assert scheduled.due_in() > 0


def test_a_slot_waits_until_the_last_job_has_ended_and_no_tick_does_anything_before(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h\noverlap: wait")
    scheduled.run()
    scheduled.missed_since(3600)
    scheduled.run()
    scheduled.instance.query(
        "UPDATE jobcron_job SET status = 0, date_finished = NULL, scheduled_start = '2999-01-01'"
    )
    scheduled.instance.query("DELETE FROM jobcron_slot")
    scheduled.missed_since(3600)
    scheduled.run()
    assert (scheduled.jobs, scheduled.row("waits_for")) == (1, (1,))
    assert not took_the_full_path(scheduled.instance, "functions")
    scheduled.instance.query("UPDATE jobcron_job SET status = 5, date_finished = scheduled_start")
    assert took_the_full_path(scheduled.instance, "functions")
    assert (scheduled.jobs, scheduled.row("waits_for")) == (2, (None,))


@pytest.mark.feature("N-06")
def test_a_slot_that_has_its_job_never_gets_a_second_one(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    for _ in range(3):
        scheduled.missed_since(60 * 60)
        scheduled.run()
    assert scheduled.jobs == len(scheduled.slots()) == 1


@pytest.mark.feature("N-06")
def test_three_hosts_whose_clocks_differ_create_one_job_for_a_slot(scheduled: Scheduled, tmp_path: Path) -> None:
    scheduled.define("every: 1h\noverlap: allow")
    scheduled.run()
    places = hosts(scheduled.instance, tmp_path, 3)
    for _ in range(3):
        scheduled.instance.query("DELETE FROM jobcron_slot")
        before = scheduled.jobs
        scheduled.missed_since(3600)
        with ThreadPoolExecutor(len(places)) as pool:
            ended = list(pool.map(as_host, places, (-10, 0, 10)))
        assert [status for status, _, _ in ended] == [0, 0, 0], ended
        assert scheduled.jobs == before + 1, ended
    # The database's clock decides, not that of the host that looks: the next slot is within the hour by our clock.
    assert 0 < scheduled.due_in() <= 3600


@pytest.mark.parametrize("place", range(1, 7))
def test_a_run_that_is_killed_between_slot_and_job_leaves_both_or_none(
    scheduled: Scheduled, tmp_path: Path, place: int
) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(3600)
    program = tmp_path / "killed.py"
    program.write_text(KILLED)
    arguments = ("--config", str(scheduled.instance.path), "run", "functions")
    status, _, _ = fork_server().run(program, arguments, {"KILLED_AT": str(place)}, None, 200)
    assert status == -signal.SIGKILL
    assert scheduled.jobs == len(scheduled.slots())
    scheduled.run()
    assert scheduled.jobs == len(scheduled.slots()) == 1
    assert len(scheduled.instance.ledger()) == 1
    assert scheduled.due_in() > 0


def test_a_job_that_cannot_be_created_is_told_and_tried_again_after_a_while(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h\nrenamed_from: other")
    scheduled.run()
    scheduled.instance.query("UPDATE jobcron_schedule SET job = 'functionapp.gone'")
    scheduled.missed_since(3600)
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("functionapp.export", "functionapp.gone"))
    log = scheduled.run()
    assert "functionapp.gone" in log
    assert "registered function" in (scheduled.row("error")[0] or "registered function")
    scheduled.missed_since(3600)
    log = scheduled.run()
    assert "The schedule nightly: its job could not be created: expected a job type" in log
    assert "expected a job type, a job class or a registered function" in scheduled.row("error")[0]
    assert not took_the_full_path(scheduled.instance, "functions")
    path.write_text(path.read_text().replace("functionapp.gone", "functionapp.export"))
    scheduled.run()
    assert scheduled.row("error") == (None,)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_role_of_a_section_has_the_rights_to_create_what_is_due(scheduled: Scheduled) -> None:
    scheduled.define("every: 1h")
    path = scheduled.instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("[functions]\n", "[functions]\ndbuser: foo_runner\n"))
    scheduled.run()
    scheduled.missed_since(3600)
    scheduled.run()
    assert (scheduled.jobs, scheduled.slots()) == (1, [("created", 0, True)])
