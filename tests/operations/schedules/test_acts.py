"""Schedules at run time: listed, paused, resumed, run now, made, changed and deleted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobcron.jobs.hand_moves import operator_name
from jobcron.operations.schedules.acts import find_schedule, schedule_states
from jobcron.operations.schedules.reasons import schedule_reasons
from jobcron.schedules.health import check_schedules
from jobcron.settings.instance import load_settings
from operating import Operator
from query_cost import cost_of, noted_statements
from schedules import AGO, Scheduled

BY_DAY = '[schedule:daily]\njob: functionapp.export\narguments: {"model": "a"}\nevery: 1d\n'
"""A second schedule."""

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_the_list_says_of_each_schedule_what_it_does(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    scheduled.missed_since(2 * 3600)
    scheduled.run()
    (found,) = operator.table("schedules")
    assert (found["schedule"], found["state"], found["when"], found["zone"]) == (
        "nightly",
        "active",
        "every 1h",
        "UTC",
    )
    assert (found["job"], found["outcome"], found["last job"]) == ("functionapp.export", "created", "1")
    (as_json,) = operator.json("schedules")["schedules"]
    assert (as_json["missed"], as_json["origin"]) == (1, "the configuration instance of functionapp")


def test_who_did_what_to_a_schedule_is_among_the_acts(scheduled: Scheduled, operator: Operator) -> None:
    secret = ("--argument", 'model="tell nobody"')
    operator("schedules", "add", "extra", "--job", "functionapp.export", *secret, "--every", "1h")
    operator("schedules", "pause", "extra")
    operator("schedules", "resume", "extra")
    operator("schedules", "run", "extra")
    operator("schedules", "change", "extra", "--every", "2h")
    operator("schedules", "delete", "extra")
    operator("schedules", "delete", "extra", expect=2)
    found = operator.json("undo")["acts"]
    assert [act["name"] for act in found[::-1]] == [
        "schedule extra made: job functionapp.export, every 1h, arguments",
        "schedule extra paused",
        "schedule extra resumed",
        "schedule extra run: job 1",
        "schedule extra changed: every 2h",
        "schedule extra deleted",
    ]
    assert {(act["actor"], act["instead"]) for act in found} == {
        (operator_name(), "change it again instead"),
    }


def test_a_paused_schedule_creates_nothing_and_has_missed_nothing_when_it_is_resumed(
    scheduled: Scheduled, operator: Operator
) -> None:
    scheduled.define("every: 1h")
    scheduled.run()
    assert operator("schedules", "pause", "nightly") == "nightly is paused\n"
    assert operator.table("schedules")[0]["state"] == "paused"
    assert scheduled.row("due_at") == (None,)
    assert operator("schedules", "resume", "nightly").startswith("nightly is due at ")
    assert 0 < scheduled.due_in() <= 3600
    assert scheduled.row("paused_at", "paused_by") == (None, None)


def test_a_job_of_a_schedule_can_be_created_now(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define()
    scheduled.run()
    assert operator("schedules", "run", "nightly") == "job 1 is waiting\n"
    scheduled.run()
    assert scheduled.instance.ledger() == [(0, 0, "nightly 1")]
    assert scheduled.slots() == []


def test_a_schedule_can_be_made_changed_and_deleted_at_run_time(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define("")
    scheduled.run()
    made = ["--job", "functionapp.export", "--every", "1h", "--argument", "model=hand"]
    assert operator("schedules", "add", "by_hand", *made) == "by_hand is made\n"
    scheduled.missed_since(3600, name="by_hand")
    scheduled.run()
    assert scheduled.instance.ledger() == [(0, 0, "hand 1")]
    operator("schedules", "change", "by_hand", "--cron", "0 3 * * *", "--time-zone", "Europe/Berlin")
    assert scheduled.row("cron", "every", "time_zone", "job", name="by_hand") == (
        "0 3 * * *",
        None,
        "Europe/Berlin",
        "functionapp.export",
    )
    scheduled.run()  # what no configuration defines stays
    assert scheduled.row("retired_at", name="by_hand") == (None,)
    operator("schedules", "delete", "by_hand")
    assert operator.table("schedules") == []
    assert scheduled.slots() == []


def test_what_is_not_changed_of_a_schedule_stays(scheduled: Scheduled, operator: Operator) -> None:
    made = ["--job", "functionapp.export", "--argument", "model=hand", "--every", "90m", "--missed-grace", "30s"]
    operator("schedules", "add", "by_hand", *made)
    operator("schedules", "change", "by_hand", "--argument", "model=other")
    kept = scheduled.row("every", "missed_grace", "missed_bound", "arguments", name="by_hand")
    assert kept == (5400, 30, 100, '{"model": "other"}')


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pause"], "schedules pause: expected the name of a schedule"),
        (["list", "nightly"], "schedules list: expected no name"),
        (["pause", "daily"], "expected the name of a schedule, got: daily; the schedules are: nightly"),
        (["change", "nightly", "--every", "2h"], "instance of functionapp defines: change it there"),
        (["delete", "nightly"], "which the configuration instance of functionapp defines: remove it there (it"),
        (["add", "other"], "schedules add other: expected a job type, a class or a function as --job"),
        (["add", "other", "--job", "functionapp.gone", "--every", "1h"], "expected a job type, a job class or a"),
        (["add", "other", "--job", "functionapp.export", "--every", "1h"], "missing a required argument: 'model'"),
        (["add", "ab", "--job", "functionapp.undocumented", "--every", "1h"], "3 to 64 in all, got: ab"),
        (["add", "nightly", "--job", "functionapp.undocumented", "--every", "1h"], "a name that no schedule has"),
        (
            ["add", "other", "--job", "functionapp.undocumented", "--every", "1s"],
            "schedule other: every: expected",
        ),
    ],
)
def test_a_mistake_of_an_operator_is_told(
    scheduled: Scheduled, operator: Operator, arguments: list[str], message: str
) -> None:
    scheduled.define()
    scheduled.run()
    operator("schedules", *arguments, expect=2)
    assert message in operator.err


@on_sqlite
def test_a_schedule_that_nothing_defines_any_more_can_be_deleted(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define()
    scheduled.run()
    scheduled.define("")
    scheduled.unconfirmed_for(2000)
    scheduled.run()
    assert operator.table("schedules")[0]["state"] == "retired"
    operator("schedules", "delete", "nightly")
    assert operator.table("schedules") == []


@on_sqlite
def test_a_schedule_of_an_instance_that_is_gone_can_be_deleted(scheduled: Scheduled, operator: Operator) -> None:
    scheduled.define()
    scheduled.run()
    scheduled.instance.query("UPDATE jobcron_schedule SET origin = 'the configuration elsewhere'")
    scheduled.unconfirmed_for(80_000)
    operator("schedules", "delete", "nightly", expect=2)
    scheduled.unconfirmed_for(90_000)
    assert operator("schedules", "delete", "nightly") == "nightly is deleted\n"


def test_questions_about_schedules_do_not_read_all_slots(scheduled: Scheduled) -> None:
    many, instance = 20_000, scheduled.instance
    scheduled.define("every: 1m", more=BY_DAY)
    scheduled.run()
    new = AGO[instance.database.dialect].format("1")
    instance.query(
        "INSERT INTO jobcron_slot (schedule, local_time, fold, due_at, at, outcome, missed) "
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many}) "
        "SELECT (SELECT id FROM jobcron_schedule WHERE name = 'nightly'), "
        f"CAST(i AS TEXT), 0, {new}, {new}, 'created', 0 FROM n"
    )
    instance.query(
        "INSERT INTO jobcron_slot (schedule, local_time, fold, due_at, at, outcome, missed) "
        "SELECT id, '2020', 0, '2020-01-01 00:00:00.000000', "
        f"{new}, 'missed', 2 FROM jobcron_schedule WHERE name = 'daily'"
    )
    instance.query("ANALYZE")
    settings = load_settings(str(instance.path))
    with noted_statements() as noted, instance.database.begin(writing=False) as connection:
        found = check_schedules(connection, settings, lambda: False)
        states = schedule_states(connection)
        list(schedule_reasons(connection, settings, find_schedule(connection, "daily"), datetime.now(UTC)))
    assert [check.text for check in found] == ["daily: 3 slots missed in a day"]
    assert [state.last_outcome for state in states] == ["missed", "created"]
    asked = [(text, values) for text, values in noted if "jobcron_slot" in text]
    assert len(asked) == 3, "those of all schedules together"
    for text, values in asked:
        assert cost_of(instance, text, values) < many / 10, text
