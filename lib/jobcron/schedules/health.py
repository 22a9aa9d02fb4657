"""The health of schedules, for monitoring: overdue, failing, or with missed slots. Only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, func, literal_column, or_, select

from jobcron.database.tables import ScheduleRow, SlotRow
from jobcron.queue.health import Check, Health
from jobcron.reports.plurals import counted
from jobcron.schedules.creating import Outcome
from jobcron.schedules.definitions import coded_names, former_origin, origins_of
from jobcron.schedules.storing import corrected, is_back, read_rows_now
from jobcron.schedules.unstorable import may_be_unstorable, unstorable
from jobcron.settings.settings import Settings

SLACK = timedelta(minutes=15)
"""How much later than its slot a job may be created before its schedule counts as overdue."""

MISSED_AGE = timedelta(days=1)
"""How long missed slots are told."""


def check_schedules(
    connection: Connection, settings: Settings, load: Callable[[], bool], *, is_loaded: bool = False
) -> list[Check]:
    """Return the findings about all schedules; if nothing is wrong, one that says so. None if there are none.

    Args:
        connection: a connection.
        settings: the instance's.
        load: imports the application, and returns whether it could; called only if it matters.
        is_loaded: whether it has been imported, so that all definitions in its code are known.
    """
    rows, now = read_rows_now(connection)
    found = []
    if is_loaded or (may_be_unstorable(rows, now, settings) and load()):
        wrong = unstorable(rows, now, settings)
        found = [Check(Health.CRITICAL, f"{each.name}: {each.describe()}") for each in wrong]
    if now is None:
        return found
    missed = _missed(connection, now)
    is_here = _defined_here(rows, now, settings, load)
    found += [check for row in rows for check in _of_schedule(row, now, missed.get(row.id, 0), is_here[row.id])]
    return found or [Check(Health.OK, counted(len(rows), "schedule"))]


def _defined_here(
    rows: Sequence[ScheduleRow], now: datetime, settings: Settings, load: Callable[[], bool]
) -> dict[int, bool | None]:
    """Return which schedules this instance defines, by number; None: another one does, or that is unknown."""
    configured, coded = origins_of(settings)
    matters = any(row.origin == coded and (is_back(row, now) or _is_late(row, now)) for row in rows)
    are_unknown = not matters or not load()
    names = frozenset() if are_unknown else coded_names()

    def is_here(row: ScheduleRow) -> bool | None:
        if {row.name, row.renamed_from} & {*settings.schedules, *names}:
            return True
        ours = {configured, former_origin(settings)} | (set() if are_unknown else {coded})
        return False if row.origin in ours else None

    return {row.id: is_here(row) for row in rows}


def _is_late(row: ScheduleRow, now: datetime) -> bool:
    return row.due_at is not None and now - row.due_at > SLACK and row.waits_for is None


def _of_schedule(row: ScheduleRow, now: datetime, missed: int, is_here: bool | None) -> Iterator[Check]:
    if is_here and row.retired_at is not None:
        told = "another host, which does not define it, has retired it; the next run of a section takes it back"
        yield Check(Health.WARNING, f"{row.name}: defined here, but {told}")
    if row.error is not None and row.look_at is not None:
        yield Check(Health.CRITICAL, f"{row.name}: its job could not be created: {row.error}")
    elif row.due_at is not None and _is_late(row, now) and is_here is not False:
        late = timedelta(seconds=round((now - row.due_at).total_seconds()))
        yield Check(Health.CRITICAL, f"{row.name}: due since {late}, and no run has created its job")
    elif now_due := corrected(row, now).get("due_at"):
        told = f"its next slot is at {row.due_at:%Y-%m-%d %H:%M:%S} UTC, by its times it is at {now_due:%H:%M:%S}"
        yield Check(
            Health.WARNING, f"{row.name}: {told}: the clock was ahead; the next run of a section corrects it"
        )
    if missed:
        yield Check(Health.WARNING, f"{row.name}: {counted(missed, 'slot')} missed in a day")


def _missed(connection: Connection, now: datetime) -> dict[int, int]:
    """Return how many slots were missed, by the schedule's number."""
    own = case((SlotRow.outcome == Outcome.MISSED.value, 1), else_=0)
    # Literals, as the index jobcron_slot_missed has them: SQLite matches no values of parameters.
    has_missed = or_(SlotRow.missed > literal_column("0"), SlotRow.outcome == literal_column("'missed'"))
    counted = (
        select(SlotRow.schedule_id, func.sum(SlotRow.missed + own))
        .where(SlotRow.at > now - MISSED_AGE, has_missed)
        .group_by(SlotRow.schedule_id)
    )
    return {number: int(count) for number, count in connection.execute(counted)}
