"""Bring the rows of schedules in line with what configuration and code define."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from jobcron.database.clock import database_after, database_now
from jobcron.database.statements import insert_into
from jobcron.database.tables import ScheduleRow
from jobcron.errors import UnknownJobType
from jobcron.functions.creating import type_of_job
from jobcron.reports.logs import NO_OOPS
from jobcron.schedules.definitions import HAND, Defined, Definition, problem_of
from jobcron.schedules.timetable import Timetable, is_time_zone
from jobcron.settings.settings import Schedule

PATIENCE = timedelta(seconds=90)
"""How long a schedule is left to the sections that run its jobs: else all sections would start for each slot."""

WHEN = ("cron", "every", "time_zone")
"""The values that say when a schedule is due."""

CONFIRMED_AFTER = 0.5
"""After how much of an activity interval a run confirms again what it defines."""

RETIRED_AFTER = 3
"""How many activity intervals nobody has confirmed a schedule that is retired."""

KEPT = timedelta(days=7)
"""How long a retired schedule may be away and still have its slots when it comes back."""

TOLERANCE = timedelta(minutes=1)
"""By how much clocks may differ from one statement to the next."""

LONGEST_RETRY = timedelta(hours=1)
"""How long the time may be, at least, after which a host looks again at a schedule whose job was not created."""

Values = dict[str, object]


class Differences(NamedTuple):
    """What rows of schedules do not say that an instance defines, and what they say that it does not.

    Attributes:
        changes: definitions with the rows that do not fit them; None: there is no row.
        to_confirm: by origin, the numbers of the rows that fit, which nobody has confirmed for a while.
        to_notice: the numbers of rows of its origins that it does not define, and nobody has confirmed.
        to_retire: such rows that nobody has confirmed for long.
        left: the numbers of all such rows: whoever defines them creates their jobs.
        ahead: rows that are due too late, since the database's clock was ahead, with what they should say.
    """

    changes: list[tuple[ScheduleRow | None, Definition]]
    to_confirm: dict[str, list[int]]
    to_notice: list[int]
    to_retire: list[ScheduleRow]
    left: frozenset[int]
    ahead: list[tuple[ScheduleRow, Values]]

    @property
    def are_any(self) -> bool:
        """Whether there is anything to write."""
        return any((self.changes, self.to_confirm, self.to_notice, self.to_retire, self.ahead))


def read_rows(connection: Connection) -> list[ScheduleRow]:
    """Return the rows of all schedules, by name; they belong to no session."""
    return read_rows_now(connection)[0]


def read_rows_now(connection: Connection) -> tuple[list[ScheduleRow], datetime | None]:
    """Return the rows of all schedules, by name, and the database's time; None: there are no rows."""
    table = ScheduleRow.__table__
    found = connection.execute(select(table, database_now().label("now")).order_by(table.c.name)).mappings().all()
    rows = [ScheduleRow(**{name: value for name, value in row.items() if name != "now"}) for row in found]
    return rows, found[0]["now"] if found else None


def differences(rows: Sequence[ScheduleRow], now: datetime | None, defined: Defined) -> Differences:
    """Compare the rows of schedules with what an instance defines.

    Args:
        rows: all rows.
        now: the database's time; None: there are no rows.
        defined: what the instance defines.
    """
    found = Differences([], {}, [], [], frozenset(), [])
    if now is None:
        return found._replace(changes=[(None, definition) for definition in defined.definitions])
    kept = set()
    for row, definition in _pairs(rows, defined.definitions):
        if row is not None:
            kept.add(row.name)
        if row is None or row.retired_at is not None or not _fits(row, definition):
            found.changes.append((row, definition))
        elif _age(row, now) > timedelta(seconds=CONFIRMED_AFTER * defined.interval):
            found.to_confirm.setdefault(definition.origin, []).append(row.id)
    names = {definition.schedule.name for definition in defined.definitions}
    left = [
        row
        for row in rows
        if row.origin in defined.origins
        and row.retired_at is None
        and row.name not in kept
        and row.renamed_from not in names  # a newer release has renamed it, and this is an older one
    ]
    for row in left:
        if _age(row, now) == timedelta.max:
            found.to_notice.append(row.id)
        elif _age(row, now) > timedelta(seconds=RETIRED_AFTER * defined.interval):
            found.to_retire.append(row)
    for row in rows:
        if values := corrected(row, now, defined.interval):
            found.ahead.append((row, values))
    return found._replace(left=frozenset(row.id for row in left))


def corrected(row: ScheduleRow, now: datetime, retry_seconds: float = 0) -> Values:
    """Return what the row of a schedule should say that is due too late; mostly nothing.

    Args:
        row: the schedule.
        now: the database's time. It was ahead when the row was written.
        retry_seconds: when a run looks again at a schedule whose job could not be created.
    """
    if row.due_at is None or row.look_at is None:
        return {}
    if row.due_at > now + TOLERANCE and is_time_zone(row.time_zone):
        timetable = timetable_of(row)
        following = timetable.next_after(now + TOLERANCE)
        if following is not None and following.due < row.due_at:
            first = timetable.next_after(now) or following
            return {**due_at(first.due), "waits_for": row.waits_for}
    latest_retry = max(row.due_at, now + max(timedelta(seconds=retry_seconds), LONGEST_RETRY))
    if row.error is not None and row.look_at > latest_retry:
        return {"look_at": now, "others_look_at": now + PATIENCE}
    return {}


def store(connection: Connection, defined: Defined, logger: logging.Logger) -> None:
    """Write what is new, changed or gone; what an operator has paused stays paused.

    A schedule that is due at other times than before has missed nothing: it is due next after now. One that this
    instance does not define is retired only if nobody has confirmed it for a while: other hosts may define it.

    Args:
        connection: in a short transaction.
        defined: what the instance defines.
        logger: logs the changes.
    """
    rows, _ = read_rows_now(connection)
    now = connection.scalar(select(database_now()))
    assert now is not None
    found = differences(rows, now, defined)
    for row, definition in found.changes:
        if (problem := problem_of(definition.schedule)) is not None:
            left = "is not stored" if row is None else "stays as it was"
            text = "%s: the schedule %s could not create its jobs, and %s until that is mended: %s"
            logger.error(text, definition.origin, definition.schedule.name, left, problem.text, extra=NO_OOPS)
        elif row is None:
            _insert(connection, definition, now)
            logger.info("The schedule %s is new.", definition.schedule.name)
        else:
            change(connection, row, definition, now)
            word = "has changed" if row.retired_at is None else "is defined again"
            logger.info("The schedule %s %s.", definition.schedule.name, word)
    for origin, numbers in found.to_confirm.items():
        _confirm(connection, numbers, {"origin": origin})
    if found.to_notice:
        _confirm(connection, found.to_notice, {})
    for row, values in found.ahead:
        stays = (ScheduleRow.id == row.id, ScheduleRow.look_at == row.look_at)
        if connection.execute(update(ScheduleRow).where(*stays).values(values)).rowcount:
            told = (
                "The schedule %s was to be looked at only at %s: the database's clock was ahead. Now it is at %s."
            )
            times = (f"{moment:%Y-%m-%d %H:%M:%S} UTC" for moment in (row.look_at, values["look_at"]))
            logger.warning(told, row.name, *times, extra=NO_OOPS)
    for row in found.to_retire:
        if _retire(connection, row, defined.interval):
            logger.info("The schedule %s is no longer defined by %s.", row.name, row.origin)


def _confirm(connection: Connection, numbers: list[int], values: Values) -> None:
    """Say that schedules are defined now; those that another host has in hand are left for the next time."""
    free = (
        select(ScheduleRow.id).where(ScheduleRow.id.in_(numbers)).with_for_update(key_share=True, skip_locked=True)
    )
    confirmed = update(ScheduleRow).where(ScheduleRow.id.in_(free))
    connection.execute(confirmed.values({"seen_at": database_now(), **values}))


def _retire(connection: Connection, row: ScheduleRow, interval: float) -> bool:
    """Let a schedule create nothing any more, unless somebody has just confirmed it; return whether that is so."""
    is_unconfirmed = ScheduleRow.seen_at < database_after(-RETIRED_AFTER * interval)
    retired = update(ScheduleRow).where(ScheduleRow.id == row.id, ScheduleRow.retired_at.is_(None), is_unconfirmed)
    values = {"retired_at": database_now(), **due_at(None), "kept_due_at": ScheduleRow.due_at}
    return connection.execute(retired.values(values)).rowcount == 1


def change(connection: Connection, row: ScheduleRow, definition: Definition, now: datetime) -> None:
    """Write a definition to its row."""
    values = _values(definition)
    is_active = bool(values["enabled"]) and row.paused_at is None
    was_active = row.enabled and row.retired_at is None
    is_same = all(getattr(row, name) == values[name] for name in WHEN)
    if is_active and is_same and row.kept_due_at is not None and is_back(row, now):
        values |= due_at(row.kept_due_at)
    elif not was_active or not is_same or not values["enabled"]:
        values |= due_values(definition.schedule, now, is_active=is_active)
    as_new = {"retired_at": None, "kept_due_at": None, "seen_at": now, "error": None}
    connection.execute(update(ScheduleRow).where(ScheduleRow.id == row.id).values({**values, **as_new}))


def is_back(row: ScheduleRow, now: datetime) -> bool:
    """Return whether a schedule was retired a short time ago: then its slots since then were missed."""
    return row.retired_at is not None and now - row.retired_at < KEPT


def due_values(schedule: Schedule | ScheduleRow, now: datetime, *, is_active: bool) -> Values:
    """Return when a schedule is due that has missed nothing."""
    following = timetable_of(schedule).next_after(now) if is_active else None
    return due_at(None if following is None else following.due)


def due_at(due: datetime | None) -> Values:
    """Return the values of a schedule that is due at a time, or never."""
    return {"due_at": due, "look_at": due, "others_look_at": due and due + PATIENCE, "waits_for": None}


def timetable_of(schedule: Schedule | ScheduleRow) -> Timetable:
    """Return when a schedule is due."""
    return Timetable(schedule.cron, schedule.every, schedule.time_zone)


def add(connection: Connection, definition: Definition) -> bool:
    """Write the row of a new schedule, and return whether there was none of its name."""
    now = connection.scalar(select(database_now()))
    assert now is not None
    return _insert(connection, definition, now)


def _insert(connection: Connection, definition: Definition, now: datetime) -> bool:
    due = due_values(definition.schedule, now, is_active=definition.schedule.enabled)
    statement = insert_into(ScheduleRow, connection).values({**_values(definition), **due, "seen_at": now})
    return connection.execute(statement.on_conflict_do_nothing(index_elements=["name"])).rowcount == 1


def _pairs(
    rows: Sequence[ScheduleRow], definitions: Iterable[Definition]
) -> list[tuple[ScheduleRow | None, Definition]]:
    """Return the definitions with their rows; None: there is no row."""
    by_name = {row.name: row for row in rows}
    former = {row.renamed_from for row in rows if row.renamed_from is not None}
    found: list[tuple[ScheduleRow | None, Definition]] = []
    for definition in definitions:
        schedule = definition.schedule
        row = by_name.get(schedule.name)
        if row is None and schedule.name in former:
            continue  # a newer release has renamed it, and this is an older one
        if row is None and schedule.renamed_from is not None:
            row = by_name.get(schedule.renamed_from)
        found.append((row, definition))
    return found


def _age(row: ScheduleRow, now: datetime) -> timedelta:
    """Return how long ago a schedule was confirmed; the greatest time: never, or in a future that has not come."""
    if row.seen_at is None or row.seen_at > now + TOLERANCE:
        return timedelta.max
    return now - row.seen_at


def _fits(row: ScheduleRow, definition: Definition) -> bool:
    """Return whether a row says what a definition says; who confirms it last is its origin."""
    values = {name: value for name, value in _values(definition).items() if name != "origin"}
    return row.origin != HAND and all(getattr(row, name) == value for name, value in values.items())


def _values(definition: Definition) -> Values:
    values: Values = definition.schedule._asdict()
    return {**values, "origin": definition.origin, "type_name": _type_of(definition.schedule.job)}


def _type_of(job: str) -> str | None:
    """Return the job type of a schedule's jobs; None: this application does not have it, and creating says so."""
    try:
        return type_of_job(job)
    except UnknownJobType:
        return None
