"""Reasons in the order of judgement, and times in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobcron.operations.reasons import Cause, Reason, explanation, moment, since, span

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


def test_what_blocks_is_told_before_what_only_delays() -> None:
    ahead = Reason(Cause.AHEAD, "others", is_blocking=False)
    off, due = Reason(Cause.SWITCHED_OFF, "off"), Reason(Cause.NOT_DUE, "not due")
    found = explanation([ahead, off, due], job=1, is_claimable=False)
    assert found.reasons == (due, off, ahead)
    assert not found.is_runnable
    assert explanation([ahead], job=1).is_runnable
    assert explanation([], section="act").is_runnable


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59.6), "1 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=2, hours=5, minutes=7), "2 d 5 h"),
    ],
)
def test_a_span_has_two_units(length: timedelta, words: str) -> None:
    assert span(length) == words


def test_a_moment_is_in_utc_and_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert moment(NOW) == "2026-11-29 03:00:00 UTC (08:30:00 IST)"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert since(NOW, NOW - timedelta(minutes=90)).startswith("1 h 30 min ago, at 2026-11-29 01:30:00 UTC")
    assert since(NOW, None) == "at an unknown time"
