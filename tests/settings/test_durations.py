"""Durations as applications give them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from jobcron import BaseRunnableJob, InvalidDuration
from jobcron.settings.durations import as_configured, factor_of, seconds_of

NONSENSE = [-1, -0.001, float("nan"), float("inf"), 10**400, True, "5", None, timedelta(days=-1), Decimal("sNaN")]


@pytest.mark.parametrize("duration", [90, 90.0, timedelta(minutes=1.5), Decimal("90")])
def test_a_duration_is_a_timedelta_or_a_number_of_seconds(duration: object) -> None:
    assert seconds_of("delay", duration) == 90.0


@pytest.mark.parametrize("duration", NONSENSE)
def test_what_is_no_duration_is_refused_by_name(duration: object) -> None:
    with pytest.raises(InvalidDuration, match="expected delay to be a timedelta or a number of seconds, 0 to ten"):
        seconds_of("delay", duration)
    with pytest.raises(InvalidDuration, match="expected growth to be a number, 0 or greater"):
        factor_of("growth", duration)


def test_only_some_durations_may_be_zero_or_in_the_past() -> None:
    assert seconds_of("delay", 0) == 0.0
    assert seconds_of("delay", -300, allows_past=True) == -300.0
    with pytest.raises(InvalidDuration, match="longer than 0 to ten years, got 0"):
        seconds_of("limit", 0, allows_zero=False)


DURATIONS = ["lease_duration", "retry_delay", "retry_delay_limit", "time_limit", "retry_backoff"]


@pytest.mark.parametrize("name", DURATIONS)
def test_a_class_with_nonsense_is_refused_when_it_is_made(name: str) -> None:
    for value in (-1, float("nan"), True, "soon"):
        with pytest.raises(InvalidDuration, match=f"expected {name} of tests.settings.test_durations.+Made to be"):
            type("Made", (BaseRunnableJob,), {name: value, "__module__": __name__, "__qualname__": "x.Made"})
    type("Made", (BaseRunnableJob,), {name: property(lambda job: -1)})  # is asked when a job needs it
    type("Made", (BaseRunnableJob,), {name: 60})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (90, "1m30s"), (3600, "1h"), (86399, "23h59m59s"), (604800, "7d")],
)
def test_a_duration_is_written_as_configurations_write_it(seconds: int, text: str) -> None:
    assert as_configured(seconds) == text
