"""The five fields of a crontab's line: which texts are taken, and how long such a schedule pauses."""

from __future__ import annotations

from datetime import timedelta

import pytest

from instances import Instance
from jobcron.settings.cron import longest_pause
from paths import JOBCRON


@pytest.mark.parametrize(
    ("schedule", "pause"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("*/7 * * * *", timedelta(minutes=7)),
        ("5,50 * * * *", timedelta(minutes=45)),
        ("0 9-17 * * mon-fri", timedelta(hours=64)),
        ("@hourly", timedelta(hours=1)),
        ("@daily", timedelta(days=1)),
        ("0 3 * * 7", timedelta(days=7)),
        ("@monthly", timedelta(days=31)),
        ("0 0 29 feb *", None),
        ("0 0 1,15 * mon", timedelta(days=7)),
        ("@reboot", None),
    ],
)
def test_the_longest_pause_of_a_schedule(schedule: str, pause: timedelta | None) -> None:
    assert longest_pause(schedule) == pause


@pytest.mark.parametrize(
    "schedule", ["*/5 * * * *", "0 2 * * mon-fri", "0,30 1-5/2 1 jan,Dec 7", "@daily", "@reboot", "5  4 \t* * sun"]
)
def test_a_section_says_when_cron_is_to_look(instance: Instance, schedule: str) -> None:
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\nschedule: {schedule}\n")
    out, _ = instance.command("crontab")
    assert f"\n{' '.join(schedule.split())}  {JOBCRON} run act" in out


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("* * * *", "expected five fields"),
        ("60 * * * *", "expected minute to be *, a number from 0 to 59"),
        ("* 24 * * *", "expected hour to be"),
        ("* * 0 * *", "expected day of the month to be"),
        ("* * 31 2 *", "expected a day that the month has, got: * * 31 2 *"),
        ("* * 32 2 *", "expected day of the month to be"),
        ("* * * foo *", "expected month to be"),
        ("* * * * 8", "expected day of the week to be"),
        ("5-1 * * * *", "expected minute to be"),
        ("*/0 * * * *", "expected minute to be"),
        ("5/2 * * * *", "expected minute to be"),
        ("1,,2 * * * *", "expected minute to be"),
        ("@often", "expected one of @hourly"),
        ("* * * * * rm", "expected five fields"),
        ("1%2 * * * *", "expected minute to be"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_schedule_that_cron_would_not_take_is_refused(instance: Instance, schedule: str, message: str) -> None:
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\nschedule: {schedule}\n")
    _, err = instance.command("crontab", expect=2)
    assert f"section [act], key schedule: {message}" in err


@pytest.mark.parametrize("schedule", ["*/٣ * * * *", "*/60 * * * *", f"*/{'9' * 5000} * * * *"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_step_is_a_number_that_the_field_has(instance: Instance, schedule: str) -> None:
    instance.configure(sections=f"[act]\nsource_interface: fooapp.ActJob\nschedule: {schedule}\n")
    _, err = instance.command("crontab", expect=2)
    assert "section [act], key schedule: expected minute to be *, a number from 0 to 59" in err
