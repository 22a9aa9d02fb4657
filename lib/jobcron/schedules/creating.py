"""Create the jobs of the schedules that are due: each slot once over all hosts, by the database's clock.

A slot, its job and the schedule's next slot are written in one transaction, under the schedule's lock. So whatever
dies, either all of it happened, or nothing; and the slot's key is unique besides.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, exists, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from jobcron.database.clock import database_after, database_now
from jobcron.database.database import Database
from jobcron.database.sessions import use_session
from jobcron.database.statements import insert_into
from jobcron.database.stored_text import held
from jobcron.database.tables import ScheduleRow, SlotRow, jobs_connection
from jobcron.database.trouble import first_line, reason_of, trouble_of, unavailable
from jobcron.functions.creating import create_job
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.status import PENDING
from jobcron.schedules.storing import PATIENCE, due_at, timetable_of
from jobcron.schedules.timetable import Slot
from jobcron.settings.secrets import cut, redactor

MAX_ERROR = 500


class Outcome(StrEnum):
    """What became of a slot."""

    CREATED = "created"
    MISSED = "missed"
    OVERLAPPED = "overlapped"


class Scope(NamedTuple):
    """Which schedules a run looks at.

    Attributes:
        type_name: the type of the jobs that its section runs; None: several, or one that is not known.
        retry_seconds: when to look again at a schedule whose job could not be created.
        left: the numbers of schedules that are left to others.
    """

    type_name: str | None
    retry_seconds: float
    left: frozenset[int] = frozenset()


class Decision(NamedTuple):
    """What becomes of the slots of a schedule that are due.

    Attributes:
        create: the slots that get a job.
        newest: the last one of all.
        missed: how many get none, because they were missed.
        until: up to when this decides.
    """

    create: list[Slot]
    newest: Slot
    missed: int
    until: datetime


class Tried(NamedTuple):
    """A schedule whose jobs a run tries to create.

    Attributes:
        is_own: whether the run's section is the one that runs its jobs.
    """

    id: int
    name: str
    is_own: bool


def create_due(database: Database, logger: logging.Logger, scope: Scope) -> int:
    """Create the jobs that are due, in a transaction for each schedule, and return how many.

    Raises:
        DatabaseUnavailable: the database went away.
    """
    created = 0
    seen: list[int] = []
    while True:
        failure: Exception | None = None
        with _transaction(database) as session:
            # SKIP LOCKED: another host has it in hand
            due = due_schedules(scope, seen).limit(1).with_for_update(skip_locked=True)
            row = session.scalar(due)
            if row is None:
                return created
            seen.append(row.id)
            tried = Tried(row.id, row.name, scope.type_name == row.type_name)
            try:
                with use_session(session):
                    jobs = create_slots(session, row)
                    session.commit()
            except Exception as error:  # of a hook, or an argument that no longer fits
                if trouble_of(error) is not None:
                    raise
                failure = error
        if failure is not None:
            _fail(database, logger, tried, failure, scope.retry_seconds)
            continue
        for number, slot in jobs:
            logger.info("The schedule %s: job %s for %s.", tried.name, number, slot.local_time)
        created += len(jobs)


@contextmanager
def _transaction(database: Database) -> Iterator[Session]:
    """Open a session of this module's own; what is not committed is undone."""
    try:
        with Session(database.engine, expire_on_commit=False) as session:
            yield session
    except DBAPIError as error:
        kind = trouble_of(error)
        if kind is None:
            raise
        message = f"{database.origin}: the database {database.describe()} did not create what is scheduled: "
        raise unavailable(message + (reason_of(error) or first_line(error.orig)), error) from error


def is_waiting() -> ColumnElement[bool]:
    """Return the condition that a schedule waits for a job that has not ended."""
    return exists().where(Job.id == ScheduleRow.waits_for, has_status(*PENDING))


def due_schedules(scope: Scope, seen: Sequence[int] = ()) -> Select[ScheduleRow]:
    """Return the query of the schedules whose slots a run decides about, in its order.

    Args:
        scope: which of them the run looks at.
        seen: the numbers of those that it has looked at already.
    """
    now = database_now()
    is_ours = or_(ScheduleRow.type_name == scope.type_name, ScheduleRow.others_look_at <= now)
    due = select(ScheduleRow).where(ScheduleRow.look_at <= now, is_ours, ~is_waiting())
    return due.where(ScheduleRow.id.not_in([*scope.left, *seen])).order_by(ScheduleRow.look_at, ScheduleRow.id)


def slots_to_create(session: Session, row: ScheduleRow) -> list[Slot]:
    """Return the slots of a schedule that would get a job now; only reads."""
    now = session.scalar(select(database_now()))
    assert now is not None
    assert row.due_at is not None
    is_held = row.overlap != "allow" and _is_pending(session, row.last_job)
    decision = None if is_held else decide(row, row.due_at, now)
    return [] if decision is None else decision.create


def create_slots(session: Session, row: ScheduleRow) -> list[tuple[int, Slot]]:
    """Create the jobs of a schedule's slots that are due, and move it to its next slot; nothing is committed.

    Args:
        session: it has the schedule's row locked.
        row: the schedule.

    Returns:
        The numbers of the jobs, each with its slot.
    """
    now = session.scalar(select(database_now()))
    assert now is not None
    assert row.due_at is not None
    is_held = row.overlap != "allow" and _is_pending(session, row.last_job)
    if is_held and row.overlap == "wait":
        row.waits_for = row.last_job
        return []
    decision = decide(row, row.due_at, now)
    jobs = []
    if decision is not None:
        outcome, missed = Outcome.CREATED, decision.missed
        if is_held:
            outcome, missed = Outcome.OVERLAPPED, missed + len(decision.create) - 1
        elif not decision.create:
            outcome, missed = Outcome.MISSED, missed - 1
        for slot in decision.create if outcome is Outcome.CREATED else [decision.newest]:
            if _insert_slot(session, row, slot, outcome, missed) and outcome is Outcome.CREATED:
                jobs.append((_create_job(session, row, slot), slot))
            missed = 0  # told with the first slot
    following = timetable_of(row).next_after(now if decision is None else decision.until)
    for name, value in due_at(None if following is None else following.due).items():
        setattr(row, name, value)
    row.error = None
    if row.overlap == "wait" and following is not None and following.due <= now:
        row.waits_for = row.last_job
    return jobs


def decide(row: ScheduleRow, first: datetime, now: datetime) -> Decision | None:
    """Decide about the slots of a schedule from its next one until now; None: none of these is one any more."""
    timetable = timetable_of(row)
    newest = timetable.newest(first, now)
    if newest is None:
        return None
    oldest = first if row.missed_grace is None else max(first, now - timedelta(seconds=row.missed_grace))
    if newest.due < oldest:
        return Decision([], newest, timetable.count_from(first, newest.due) + 1, now)
    if row.missed != "all":
        return Decision([newest], newest, timetable.count_from(first, newest.due), now)
    slots = timetable.slots_after(oldest - timedelta(microseconds=1))
    kept = list(deque(takewhile(lambda slot: slot.due <= now, slots), maxlen=row.missed_bound))
    missed = timetable.count_from(first, kept[0].due)
    if row.overlap == "wait":  # one after the other: the next one is due at once, and waits
        return Decision(kept[:1], newest, missed, kept[0].due)
    return Decision(kept, newest, missed, now)


def _is_pending(session: Session, job_id: int | None) -> bool:
    asked = select(Job.id).where(Job.id == job_id, has_status(*PENDING))
    return job_id is not None and session.scalar(asked) is not None


def _key_of(row: ScheduleRow, slot: Slot) -> dict[str, object]:
    """Return the key of a slot: with its time zone, since the schedule may have had another one before."""
    return {"schedule_id": row.id, "local_time": f"{slot.local_time} {row.time_zone}", "fold": slot.fold}


def _insert_slot(session: Session, row: ScheduleRow, slot: Slot, outcome: Outcome, missed: int) -> bool:
    """Write a slot, and return whether nobody had written it before."""
    values = {**_key_of(row, slot), "due_at": slot.due}
    decided = {"outcome": outcome.value, "missed": missed, "at": database_now()}
    statement = insert_into(SlotRow, jobs_connection(session)).values({**values, **decided})
    return session.execute(statement.on_conflict_do_nothing().returning(SlotRow.fold)).first() is not None


def _create_job(session: Session, row: ScheduleRow, slot: Slot) -> int:
    number = create_job(session, row.job, json.loads(row.arguments))
    row.last_job = number
    session.execute(update(SlotRow).filter_by(**_key_of(row, slot)).values(job_id=number))
    return number


def _fail(
    database: Database, logger: logging.Logger, tried: Tried, error: Exception, retry_seconds: float
) -> None:
    """Log and note that a schedule's jobs could not be created; some time later somebody looks again."""
    text = first_line(error.orig if isinstance(error, DBAPIError) else error)
    logger.error("The schedule %s: its job could not be created: %s", tried.name, text, exc_info=error)
    values: dict[str, object] = {"others_look_at": database_after(retry_seconds + PATIENCE.total_seconds())}
    if tried.is_own:  # else perhaps its own section can: it has the role for it
        values["look_at"] = database_after(retry_seconds)
    with database.begin() as connection:
        values["error"] = held(connection, cut(redactor().text(text), MAX_ERROR))
        is_due = (ScheduleRow.id == tried.id, ScheduleRow.look_at <= database_now())
        connection.execute(update(ScheduleRow).where(*is_due).values(values))
