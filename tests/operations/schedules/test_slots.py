"""The slots of a schedule that come, and those that were."""

from __future__ import annotations

from datetime import timedelta

from jobcron.operations.schedules.acts import find_schedule
from jobcron.operations.schedules.slots import next_slots, past_slots
from schedules import Scheduled


def test_the_slots_that_come_are_those_of_its_times(scheduled: Scheduled) -> None:
    scheduled.define("cron: 0 3 * * *\ntime_zone: Europe/Berlin")
    scheduled.run()
    with scheduled.instance.database.begin(writing=False) as connection:
        row = find_schedule(connection, "nightly")
        slots = next_slots(row, 3)
    assert slots[0].due == row.due_at
    assert [slot.local_time[10:] for slot in slots] == ["T03:00:00"] * 3
    assert all(
        timedelta(hours=22) < b.due - a.due < timedelta(hours=26) for a, b in zip(slots, slots[1:], strict=False)
    )


def test_what_became_of_slots_is_listed_the_newest_first(scheduled: Scheduled) -> None:
    scheduled.define("every: 1d")
    scheduled.run()
    for days in (3, 2):
        scheduled.missed_since(days * 86_400 + 60)
        scheduled.run()
        scheduled.instance.query(
            "UPDATE jobcron_slot SET due_at = :due, local_time = :time WHERE local_time NOT LIKE '2001%'",
            due=f"2001-01-0{4 - days} 00:00:00.000000"
            + ("+00:00" if scheduled.instance.database.dialect != "sqlite" else ""),
            time=f"2001-01-0{4 - days}T00:00:00 UTC",
        )
    with scheduled.instance.database.begin(writing=False) as connection:
        row = find_schedule(connection, "nightly")
        newest, oldest = past_slots(connection, row, 20)
        (only,) = past_slots(connection, row, 1)
    assert only == newest
    assert (newest.local_time, newest.zone, newest.outcome) == ("2001-01-02T00:00:00", "UTC", "created")
    assert (newest.missed, oldest.missed) == (1, 2)
    assert [slot.job for slot in (oldest, newest)] == [job.id for job in scheduled.instance.rows()]


def test_a_schedule_that_is_paused_has_no_slot_that_comes(scheduled: Scheduled) -> None:
    scheduled.define()
    scheduled.run()
    scheduled.instance.command("schedules", "pause", "nightly")
    with scheduled.instance.database.begin(writing=False) as connection:
        assert next_slots(find_schedule(connection, "nightly"), 5) == ()
