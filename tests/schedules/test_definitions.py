"""Schedules in Python: what is refused, in which words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import functionapp
from fooapp import ActJob
from jobcron import ConfigurationError, InvalidDuration
from jobcron.schedules import definitions
from jobcron.schedules.definitions import add_schedule, definitions_of
from jobcron.settings.instance import load_settings
from schedules import Scheduled


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the schedules of a test from the others."""
    monkeypatch.setattr(definitions, "_schedules", {})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_schedule_is_given_by_a_class_a_function_or_a_name(scheduled: Scheduled) -> None:
    add_schedule("one", ActJob, cron="@daily", time_zone="Europe/Berlin")
    add_schedule("two", functionapp.export, every=timedelta(minutes=90), arguments={"model": "a"})
    add_schedule("three", "foo_job.ACT", every=3600, missed="skip", overlap="wait", enabled=False)
    one, two, three = (found.schedule for found in definitions_of(load_settings(str(scheduled.instance.path))))
    assert (one.job, one.cron, one.time_zone, one.missed) == ("fooapp.ActJob", "@daily", "Europe/Berlin", "once")
    assert (two.job, two.every, two.arguments) == ("functionapp.export", 5400, '{"model": "a"}')
    assert (three.job, three.missed_grace, three.overlap, three.enabled) == ("foo_job.ACT", 600.0, "wait", False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "add_schedule('nightly'): cron: expected this key or the key every, got: neither"),
        ({"cron": "@daily", "every": 60}, "every: expected either this key or the key cron, got: both"),
        ({"cron": "61 * * * *"}, "cron: expected minute to be *, a number from 0 to 59"),
        ({"cron": "@reboot"}, "cron: expected one of @hourly"),
        ({"every": 59}, "every: expected a time of whole seconds, at least 1m"),
        ({"cron": "@daily", "time_zone": "Mars/Base"}, "time_zone: expected the name of a time zone"),
        ({"every": 60, "time_zone": "Europe/Berlin"}, "time_zone: expected the key cron beside it"),
        ({"every": 60, "missed": "some"}, "missed: expected one of once, skip, all, got: some"),
        ({"every": 60, "missed": "all"}, "missed: expected overlap: wait, or overlap: allow, beside all"),
        ({"every": 60, "overlap": "stop"}, "overlap: expected one of skip, wait, allow, got: stop"),
        ({"every": 60, "missed_bound": 0}, "missed_bound: expected a whole number, at least 1"),
        ({"every": 60, "renamed_from": "nightly"}, "renamed_from: expected another name than the schedule's own"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        add_schedule("nightly", functionapp.export, **values)
    assert message in str(raised.value)


def test_a_wrong_name_and_a_second_schedule_of_the_same_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"name: expected a letter, then letters, digits"):
        add_schedule("night ly", functionapp.export, every=60)
    add_schedule("nightly", functionapp.export, every=60)
    add_schedule("nightly", functionapp.export, every=60)  # its module was reloaded
    with pytest.raises(ConfigurationError, match="expected one schedule of this name, got two"):
        add_schedule("nightly", functionapp.undocumented, every=60)


def test_an_interval_is_a_duration() -> None:
    with pytest.raises(InvalidDuration, match="expected every to be a timedelta or a number of seconds"):
        add_schedule("nightly", functionapp.export, every=-1)
