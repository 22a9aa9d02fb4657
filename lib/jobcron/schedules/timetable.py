"""When a schedule is due: cron's expressions in a time zone, whose clocks are set forward and back; and intervals.

As in Debian's cron, what happens then depends on the expression. One that names hours and minutes means times of
the day: each comes once a day, a time that the clocks leave out comes when they have been set forward, and one
that they show twice comes the first time. One whose minutes or hours begin with ``*`` means intervals: it is due
whenever the clocks show a time that matches.
"""

# why: decisions 2026-11-29, cronsim parses, and the changes of clocks are our own

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from jobcron.settings.cron import fields_of, local_times

STEP = timedelta(hours=12)
"""No zone has changed its clocks twice within this time."""

SECOND = timedelta(seconds=1)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LOOKBACKS = tuple(timedelta(hours=hours) for hours in (1, 6, 48, 400, 9000, 80_000))

MAX_COUNT = 1000
"""The most slots that are counted."""


class Slot(NamedTuple):
    """A moment at which a schedule is due, as the clocks of its time zone show it.

    Attributes:
        due: the moment.
        local_time: what the clocks show, in ISO 8601, without a zone.
        fold: 1 if the clocks show this for the second time, else 0.
    """

    due: datetime
    local_time: str
    fold: int


class Timetable(NamedTuple):
    """The slots of a schedule.

    Attributes:
        cron: a checked expression; None: `every` counts.
        every: the interval in seconds, counted from the beginning of 1970, UTC.
        time_zone: the name of the time zone of `cron`.
    """

    cron: str | None
    every: int | None
    time_zone: str = "UTC"

    def slots_after(self, moment: datetime) -> Iterator[Slot]:
        """Iterate over the slots that are later than a moment, in their order."""
        moment = moment.astimezone(UTC)
        if self.cron is None:
            assert self.every is not None
            moments, zone = _multiples(self.every, moment), ZoneInfo("UTC")
        else:
            zone = ZoneInfo(self.time_zone)
            minute, hour, *_ = fields_of(self.cron)
            by_interval = minute.startswith("*") or hour.startswith("*")
            moments = (_intervals if by_interval else _times_of_day)(self.cron, zone, moment)
        for due in moments:
            local = due.astimezone(zone)
            yield Slot(due, local.replace(tzinfo=None).isoformat(timespec="seconds"), local.fold)

    def next_after(self, moment: datetime) -> Slot | None:
        """Return the first slot after a moment; None: there is none any more."""
        return next(self.slots_after(moment), None)

    def newest(self, first: datetime, now: datetime) -> Slot | None:
        """Return the last slot from `first` to `now`, both included; None: there is none."""
        for lookback in LOOKBACKS:
            start = max(first, now - lookback) - SECOND
            found = None
            for slot in self.slots_after(start):
                if slot.due > now:
                    break
                found = slot
            if found is not None or start < first:
                return found
        return None

    def count_from(self, first: datetime, before: datetime) -> int:
        """Count the slots from `first` on, before a moment; `MAX_COUNT` at most."""
        number = 0
        for slot in self.slots_after(first - SECOND):
            if slot.due >= before or number == MAX_COUNT:
                break
            number += 1
        return number


@cache
def is_time_zone(name: str) -> bool:
    """Return whether this machine knows a time zone."""
    return name in available_timezones()


def _multiples(every: int, moment: datetime) -> Iterator[datetime]:
    number = (moment - EPOCH) // timedelta(seconds=every)
    while True:
        number += 1
        yield EPOCH + timedelta(seconds=every * number)


def _times_of_day(cron: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    last = moment
    for naive in local_times(cron, moment.astimezone(zone).replace(tzinfo=None)):
        local = naive.replace(tzinfo=zone)  # fold is 0: the first time
        due = local.astimezone(UTC)
        if due.astimezone(zone).replace(tzinfo=None) != naive:
            # The clocks leave this time out: by the old offset it is after the change, by the new one before.
            due = _first_change(zone, local.replace(fold=1).astimezone(UTC) - SECOND, due) or due
        if due > last:  # several times that are left out come as one
            last = due
            yield due


def _intervals(cron: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """Iterate over the moments; between two changes of the clocks local times and moments are parallel."""
    start = moment
    while True:
        offset = _offset(zone, start)
        changed_at = None
        last = start
        for naive in local_times(cron, (start + offset).replace(tzinfo=None)):
            due = naive.replace(tzinfo=UTC) - offset
            changed_at = _first_change(zone, last, due)
            if changed_at is not None:
                break
            last = due
            yield due
        if changed_at is None:
            return
        start = changed_at - SECOND
        first = changed_at.astimezone(zone).replace(tzinfo=None)
        # The moment of the change itself shows the new time.
        found = next(local_times(cron, first - SECOND), None)
        if found == first:
            yield changed_at
        start = changed_at


def _first_change(zone: tzinfo, after: datetime, until: datetime) -> datetime | None:
    """Return the first moment after one with another offset, `until` at the latest; None: there is none."""
    offset = _offset(zone, after)
    low = after
    while low < until:
        high = min(low + STEP, until)
        if _offset(zone, high) != offset:
            break
        low = high
    else:
        return None
    low = low.replace(microsecond=0)  # changes come at whole seconds
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
    return high.replace(microsecond=0)


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
