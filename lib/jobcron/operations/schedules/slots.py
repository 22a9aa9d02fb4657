"""The slots of a schedule: those that come, and what became of those that were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import Connection, select

from jobcron.database.tables import ScheduleRow, SlotRow
from jobcron.schedules.storing import timetable_of


@dataclass(frozen=True)
class NextSlot:
    """A slot that comes.

    Attributes:
        due: when it is due.
        local_time: what the clocks of the schedule's time zone show then.
    """

    due: datetime
    local_time: str


@dataclass(frozen=True)
class PastSlot:
    """A slot of which something was decided.

    Attributes:
        due: when it was due.
        local_time: what the clocks showed then.
        zone: the time zone of these clocks.
        at: when it was decided.
        outcome: what: created, missed or overlapped.
        missed: how many slots before it were missed, that have no row of their own.
        job: the number of its job, which may have been deleted since; None: it has none.
    """

    due: datetime
    local_time: str
    zone: str
    at: datetime
    outcome: str
    missed: int
    job: int | None


def next_slots(row: ScheduleRow, limit: int) -> tuple[NextSlot, ...]:
    """Return the next slots of a schedule, `limit` at most; none, if nothing will be created.

    Those that are due already, or wait for the last job, come first, one by one, also if a run will create one
    job for all of them.
    """
    if row.due_at is None:
        return ()
    slots = timetable_of(row).slots_after(row.due_at - timedelta(seconds=1))
    return tuple(NextSlot(slot.due, slot.local_time) for slot in islice(slots, limit))


def past_slots(connection: Connection, row: ScheduleRow, limit: int) -> tuple[PastSlot, ...]:
    """Return the newest slots of a schedule of which something was decided, the newest first."""
    found = select(SlotRow).where(SlotRow.schedule_id == row.id).order_by(SlotRow.due_at.desc()).limit(limit)
    return tuple(
        PastSlot(one.due_at, *_shown(one.local_time), one.at, one.outcome, one.missed, one.job)
        for one in connection.execute(found)
    )


def _shown(local_time: str) -> tuple[str, str]:
    time, _, zone = local_time.partition(" ")
    return time, zone
