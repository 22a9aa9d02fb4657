"""Schedules: list them, pause and resume them, run one now; make, change and delete those of the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, delete, select, update
from sqlalchemy.orm import Session, aliased

from jobcron.database.clock import database_now
from jobcron.database.stored_text import held
from jobcron.database.tables import ScheduleRow, SlotRow
from jobcron.errors import ConfigurationError
from jobcron.functions.creating import check_arguments, create_job
from jobcron.jobs.hand_moves import operator_name
from jobcron.jobs.moves.undoing import write_act
from jobcron.operations.pauses import check_reason
from jobcron.schedules.creating import is_waiting
from jobcron.schedules.definitions import HAND, Definition, schedule_of, times_of
from jobcron.schedules.storing import add, change, due_at, due_values, read_rows
from jobcron.settings.settings import Schedule

ORPHANED = timedelta(days=1)
"""How long no run has confirmed a schedule that may be deleted, though nothing has retired it."""

TIMES = ("every", "missed_grace")
"""The keys whose values are times; their columns are seconds."""


@dataclass(frozen=True)
class ScheduleState:
    """A schedule, and what it does.

    Attributes:
        name: its name.
        state: active, waiting (for its last job), failing, paused, disabled or retired (no longer defined).
        due: its next slot; None: there is none.
        job: the job type, class or function of its jobs.
        when: the expression, or the interval in seconds.
        time_zone: the time zone of the expression.
        last_slot: the last slot of which something was decided, by the clocks of its time zone.
        last_outcome: what: created, missed or overlapped.
        last_job: the last job that it created.
        missed: how many slots were missed before the last one.
        error: why its job cannot be created, if it is failing.
        origin: where it is defined.
    """

    name: str
    state: str
    due: datetime | None
    job: str
    when: str
    time_zone: str
    last_slot: str | None
    last_outcome: str | None
    last_job: int | None
    missed: int
    error: str | None
    origin: str


def schedule_states(connection: Connection) -> list[ScheduleState]:
    """Return all schedules, by name."""
    return _states(connection, read_rows(connection))


def schedule_state(connection: Connection, row: ScheduleRow) -> ScheduleState:
    """Return a schedule, given its row."""
    (state,) = _states(connection, [row], ScheduleRow.id == row.id)
    return state


def find_schedule(connection: Connection, name: str) -> ScheduleRow:
    """Return the row of a schedule.

    Raises:
        ConfigurationError: there is none of this name.
    """
    rows = {row.name: row for row in read_rows(connection)}
    if name not in rows:
        known = ", ".join(rows) or "none"
        raise ConfigurationError(
            f"expected the name of a schedule, got: {name}; the schedules are: {known} (the next run of a section "
            "stores those of the configuration, `jobcron doctor` names those that it cannot store)"
        )
    return rows[name]


def pause(connection: Connection, name: str, actor: str | None = None, reason: str | None = None) -> None:
    """Let a schedule create nothing until it is resumed; a new release does not resume it.

    Args:
        connection: in a short transaction.
        name: its name.
        actor: who does it; by default the user of this process.
        reason: why, for whoever wonders.

    Raises:
        ConfigurationError: there is none of this name, or the reason is too long.
    """
    row = find_schedule(connection, name)
    check_reason(reason)
    who = actor or operator_name()
    because = None if reason is None else held(connection, reason)
    told = {"paused_by": held(connection, who), "paused_because": because}
    values = {"paused_at": database_now(), **told, **due_at(None)}
    connection.execute(update(ScheduleRow).where(ScheduleRow.id == row.id).values(values))
    _note(connection, name, "paused", who, reason)


def resume(connection: Connection, name: str, actor: str | None = None) -> datetime | None:
    """Let a schedule create jobs again, and at once after an error; return when. It has missed nothing.

    Raises:
        ConfigurationError: there is none of this name.
    """
    row = find_schedule(connection, name)
    if row.error is not None and row.due_at is not None:
        values = due_at(row.due_at)
    else:
        values = due_values(row, _now(connection), is_active=row.enabled and row.retired_at is None)
    values |= {"paused_at": None, "paused_by": None, "paused_because": None, "error": None}
    connection.execute(update(ScheduleRow).where(ScheduleRow.id == row.id).values(values))
    _note(connection, name, "resumed", actor)
    due = values["due_at"]
    assert due is None or isinstance(due, datetime)
    return due


def run_now(session: Session, name: str, requester: str | None = None) -> int:
    """Create a job of a schedule besides those of its slots, whatever its state, and return its number.

    Args:
        session: in a transaction that writes.
        name: the schedule's name.
        requester: who asks for it.

    Raises:
        ConfigurationError: there is none of this name.
        UnknownJobType, InvalidJobData: the job cannot be created.
    """
    row = find_schedule(session.connection(), name)
    number = create_job(session, row.job, json.loads(row.arguments), requester=requester)
    _note(session.connection(), name, f"run: job {number}", requester)
    return number


def add_by_hand(
    connection: Connection, name: str, texts: Mapping[str, str | None], actor: str | None = None
) -> None:
    """Make a schedule that no configuration has.

    Args:
        connection: in a short transaction.
        name: its name.
        texts: its values, by key, as they would stand in a configuration.
        actor: who does it; by default the user of this process.

    Raises:
        ConfigurationError: a value is invalid, or there is such a schedule.
        UnknownJobType, InvalidJobData: its job could not be created.
    """
    schedule = _checked(name, texts)
    if not add(connection, Definition(schedule, HAND)):
        raise ConfigurationError(f"expected a name that no schedule has, got: {name}")
    _note(connection, name, f"made: {_told(texts)}", actor)


def change_by_hand(
    connection: Connection, name: str, texts: Mapping[str, str | None], actor: str | None = None
) -> None:
    """Change some values of a schedule that was made by hand; it has missed nothing.

    Args:
        connection: in a short transaction.
        name: its name.
        texts: as for `add_by_hand`; None: the value stays.
        actor: who does it; by default the user of this process.

    Raises:
        ConfigurationError, UnknownJobType, InvalidJobData: as of `add_by_hand`; or it is defined elsewhere.
    """
    row = find_schedule(connection, name)
    if row.origin != HAND:
        raise ConfigurationError(
            f"expected a schedule that was made with `jobcron schedules add`, got: {name}, which {row.origin} "
            "defines: change it there"
        )
    given: dict[str, str | None] = {key: text for key, text in texts.items() if text is not None}
    if {"cron", "every"} & given.keys():
        given = {"cron": None, "every": None, **given}
    kept = {key: _text(key, getattr(row, key)) for key in Schedule._fields if key != "name"}
    change(connection, row, Definition(_checked(name, {**kept, **given}), HAND), _now(connection))
    _note(connection, name, f"changed: {_told(texts)}", actor)


def delete_by_hand(connection: Connection, name: str, actor: str | None = None) -> None:
    """Delete a schedule and its slots, unless something still defines it: a run has said so within a day.

    Raises:
        ConfigurationError: there is none of this name, or it is defined.
    """
    row = find_schedule(connection, name)
    is_orphan = row.seen_at is not None and _now(connection) - row.seen_at > ORPHANED
    if row.origin != HAND and row.retired_at is None and not is_orphan:
        raise ConfigurationError(
            f"expected a schedule that nothing defines any more, got: {name}, which {row.origin} defines: remove "
            "it there (it is retired when no run has confirmed it for three times activity_interval), or pause it"
        )
    connection.execute(delete(SlotRow).where(SlotRow.schedule_id == row.id))
    connection.execute(delete(ScheduleRow).where(ScheduleRow.id == row.id))
    _note(connection, name, "deleted", actor)


def _note(connection: Connection, name: str, what: str, actor: str | None, reason: str | None = None) -> None:
    """Write into the acts what somebody did to a schedule."""
    write_act(connection, f"schedule {name} {what}", actor or operator_name(), reason)


def _told(texts: Mapping[str, str | None]) -> str:
    """Return the values that somebody gave; not the arguments, which may be secret."""
    given = {key: text for key, text in texts.items() if text is not None}
    return ", ".join(key if key == "arguments" else f"{key} {text}" for key, text in given.items())


def _checked(name: str, texts: Mapping[str, str | None]) -> Schedule:
    if texts.get("job") is None:
        raise ConfigurationError(f"schedules add {name}: expected a job type, a class or a function as --job")
    schedule = schedule_of(name, texts, f"schedule {name}")
    check_arguments(schedule.job, json.loads(schedule.arguments))
    return schedule


def _text(key: str, value: object) -> str | None:
    """Return the value of a key as it would stand in a configuration."""
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case int() | float() if key in TIMES:
            return f"{value:.0f}s"
        case _:
            return str(value)


def _states(connection: Connection, rows: Sequence[ScheduleRow], *of: ColumnElement[bool]) -> list[ScheduleState]:
    """Return schedules, given their rows; `of`: the condition that a row is one of them, if not all are."""
    waiting = set(connection.scalars(select(ScheduleRow.id).where(is_waiting(), *of)))
    slots = _slots(connection, *of)
    return [_state(row, row.id in waiting, slots.get(row.id)) for row in rows]


def _slots(connection: Connection, *of: ColumnElement[bool]) -> dict[int, Row[int, str, str, int]]:
    """Return the newest slot of each schedule, by its number: two steps in indexes for each of them."""
    slot = aliased(SlotRow)
    newest = select(slot.local_time).where(slot.schedule_id == ScheduleRow.id)
    newest = newest.order_by(slot.due_at.desc()).limit(1)
    found = select(ScheduleRow.id.label("of"), SlotRow.local_time, SlotRow.outcome, SlotRow.missed).where(*of)
    is_newest = (SlotRow.schedule_id == ScheduleRow.id) & (SlotRow.local_time == newest.scalar_subquery())
    return {row.of: row for row in connection.execute(found.join(SlotRow, is_newest).order_by(SlotRow.fold))}


def _state(row: ScheduleRow, is_held: bool, slot: Row[int, str, str, int] | None) -> ScheduleState:
    return ScheduleState(
        name=row.name,
        state=state_of(row, is_held),
        due=row.due_at,
        job=row.job,
        when=times_of(row.cron, row.every),
        time_zone=row.time_zone,
        last_slot=None if slot is None else slot.local_time.partition(" ")[0],
        last_outcome=None if slot is None else slot.outcome,
        last_job=row.last_job,
        missed=0 if slot is None else slot.missed,
        error=row.error,
        origin=row.origin,
    )


def state_of(row: ScheduleRow, is_held: bool) -> str:
    """Return the state of a schedule in a word."""
    words = {
        "retired": row.retired_at is not None,
        "disabled": not row.enabled,
        "paused": row.paused_at is not None,
        "failing": row.error is not None,
        "waiting": is_held,
    }
    return next((word for word, is_so in words.items() if is_so), "active")


def _now(connection: Connection) -> datetime:
    now: datetime | None = connection.scalar(select(database_now()))
    assert now is not None
    return now
