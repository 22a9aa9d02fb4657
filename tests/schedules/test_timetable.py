"""When schedules are due: replayed minute by minute, over all changes of the clocks, against a slow oracle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobcron.schedules.timetable import Timetable, is_time_zone
from proving import IS_CHAOS

MINUTE = timedelta(minutes=1)

ZONES = [
    "Europe/Berlin",
    "Australia/Lord_Howe",  # half an hour
    "America/Santiago",  # at midnight
    "Africa/Casablanca",  # back and forth around Ramadan
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Asuncion",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Antarctica/Troll",  # two hours
    "Europe/Dublin",  # winter time is the one set back from the standard
    "Europe/Lisbon",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Apia",
]

HOURS, ALL = {*range(24)}, {*range(60)}

EXPRESSIONS: dict[str, tuple[set[int], set[int], bool]] = {
    "* * * * *": (ALL, HOURS, True),
    "*/15 * * * *": ({0, 15, 30, 45}, HOURS, True),
    "7 * * * *": ({7}, HOURS, True),
    "*/20 2,3 * * *": ({0, 20, 40}, {2, 3}, True),
    "*/30 0 * * *": ({0, 30}, {0}, True),
    "0 0 * * *": ({0}, {0}, False),
    "30 2 * * *": ({30}, {2}, False),
    "5,25,45 1-3 * * *": ({5, 25, 45}, {1, 2, 3}, False),
    "15,45 0,23 * * *": ({15, 45}, {0, 23}, False),
}
"""What each means, written by hand: minutes, hours, and whether it is an interval."""


def changes(zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """Iterate over the hours in which the clocks of a zone change."""
    hour = first
    while hour < last:
        after = hour + timedelta(hours=1)
        if hour.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            yield hour
        hour = after


def due(expression: str, zone: ZoneInfo, first: datetime, last: datetime) -> list[datetime]:
    """Return what a clock on a wall says: look at it each minute."""
    minutes, hours, is_interval = EXPRESSIONS[expression]

    def matches(moment: datetime) -> bool:
        return moment.minute in minutes and moment.hour in hours

    found = []
    moment = first
    shown = (moment - MINUTE).astimezone(zone).replace(tzinfo=None)
    while moment < last:
        before, local = shown, moment.astimezone(zone)
        shown = local.replace(tzinfo=None)
        if is_interval:
            is_due = matches(local)
        else:
            left_out = [before + MINUTE * n for n in range(1, (shown - before) // MINUTE)]
            is_due = (matches(local) and local.fold == 0) or any(map(matches, left_out))
        if is_due:
            found.append(moment)
        moment += MINUTE
    return found


def replayed(expression: str, zone: str, first: datetime, last: datetime) -> list[datetime]:
    found = []
    for slot in Timetable(expression, None, zone).slots_after(first - MINUTE):
        if slot.due >= last:
            break
        found.append(slot.due)
    return found


@pytest.mark.feature("N-06")
@pytest.mark.parametrize("zone", ZONES if IS_CHAOS else ZONES[:4])
def test_around_each_change_of_the_clocks_a_schedule_is_due_as_a_clock_on_the_wall_says(zone: str) -> None:
    years = 10 if IS_CHAOS else 2
    known = ZoneInfo(zone)
    for hour in changes(known, datetime(2024, 1, 1, tzinfo=UTC), datetime(2024 + years, 1, 1, tzinfo=UTC)):
        first, last = hour - timedelta(hours=30), hour + timedelta(hours=30)
        for expression in EXPRESSIONS:
            assert replayed(expression, zone, first, last) == due(expression, known, first, last), expression


@pytest.mark.parametrize("zone", ZONES if IS_CHAOS else ZONES[:2])
def test_over_years_a_schedule_is_due_as_a_clock_on_the_wall_says(zone: str) -> None:
    first = datetime(2024, 1, 1, tzinfo=UTC)
    last = first + timedelta(days=3653 if IS_CHAOS else 40)
    for expression in ("30 2 * * *", "*/15 * * * *"):
        assert replayed(expression, zone, first, last) == due(expression, ZoneInfo(zone), first, last), expression


@pytest.mark.parametrize(
    ("expression", "after", "slots"),
    [
        # The clocks of Berlin go from 2:00 to 3:00 on 29 March 2026, and from 3:00 to 2:00 on 25 October.
        ("30 2 * * *", "2026-03-28T12:00", ["2026-03-29T03:00:00 0", "2026-03-30T02:30:00 0"]),
        ("15,45 2 * * *", "2026-03-28T12:00", ["2026-03-29T03:00:00 0", "2026-03-30T02:15:00 0"]),
        ("*/30 * * * *", "2026-03-29T01:00", ["2026-03-29T01:30:00 0", "2026-03-29T03:00:00 0"]),
        ("30 2 * * *", "2026-10-24T12:00", ["2026-10-25T02:30:00 0", "2026-10-26T02:30:00 0"]),
        (
            "*/30 * * * *",
            "2026-10-25T02:10",
            ["2026-10-25T02:30:00 0", "2026-10-25T02:00:00 1", "2026-10-25T02:30:00 1", "2026-10-25T03:00:00 0"],
        ),
        ("@daily", "2026-03-28T12:00", ["2026-03-29T00:00:00 0", "2026-03-30T00:00:00 0"]),
    ],
)
def test_a_slot_is_named_by_what_the_clocks_show_and_whether_for_the_second_time(
    expression: str, after: str, slots: list[str]
) -> None:
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    found = Timetable(expression, None, "Europe/Berlin").slots_after(start)
    assert [f"{slot.local_time} {slot.fold}" for slot, _ in zip(found, slots, strict=False)] == slots


def test_an_interval_is_counted_from_the_same_moment_on_every_host() -> None:
    found = Timetable(None, 5400).slots_after(datetime(2026, 1, 1, 0, 10, tzinfo=UTC))
    assert [next(found).local_time for _ in range(2)] == ["2026-01-01T01:30:00", "2026-01-01T03:00:00"]


def test_the_newest_slot_is_found_without_a_walk_over_all_that_were_missed() -> None:
    every_minute = Timetable("* * * * *", None, "Europe/Berlin")
    first, now = datetime(1990, 1, 1, tzinfo=UTC), datetime(2026, 5, 5, 12, 0, 30, tzinfo=UTC)
    newest = every_minute.newest(first, now)
    assert newest is not None
    assert newest.due == datetime(2026, 5, 5, 12, tzinfo=UTC)
    assert every_minute.count_from(first, newest.due) == 1000
    yearly = Timetable("0 0 1 1 *", None, "UTC")
    newest = yearly.newest(datetime(2020, 1, 1, tzinfo=UTC), now)
    assert newest is not None
    assert newest.due == datetime(2026, 1, 1, tzinfo=UTC)
    assert yearly.newest(now, now) is None


def test_a_time_zone_is_known_by_its_name() -> None:
    assert is_time_zone("Europe/Berlin")
    assert not is_time_zone("Europe/Berlyn")
