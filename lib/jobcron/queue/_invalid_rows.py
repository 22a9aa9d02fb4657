"""Rows with values that no code writes: one of them must not stop the others.

Examples are a number at the limit of its type, a text where SQLite should have a number, an infinite time, and a
text that is not UTF-8. The database refuses most of these since migration 0003, but a row may be older. One such
row makes the claim, or the loading, of its whole batch fail. It is therefore claimed alone: its invalid values are
replaced by valid ones, and the job fails, with a report that says what was wrong in which column.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    SQLColumnExpression,
    Text,
    and_,
    cast,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, SQLAlchemyError

from jobcron.database.clock import database_after, database_now
from jobcron.errors import InvalidRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import START_ORDER, Job, has_status, lease_end
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import Claimant

MOST_ROWS = 1000
"""How many rows are looked through: more than any batch has."""

MAX_SHOWN = 60

GREATEST_TOKEN = 2**62
GREATEST_COUNT = 2**31 - 1

NUMBERS = {
    "lease_token": (0, GREATEST_TOKEN - 1, 0),
    "begun_token": (0, GREATEST_TOKEN, 0),
    "attempt_count": (0, GREATEST_COUNT, 0),
    "crash_count": (0, GREATEST_COUNT, 0),
    "max_retries": (0, GREATEST_COUNT, 0),
    "priority": (-GREATEST_COUNT - 1, GREATEST_COUNT, 10),
}
"""The least and the greatest value of each number, and the one that replaces an impossible one."""

TIMES = ("scheduled_start", "date_created", "date_started", "expires_at", "lease_expires")

TEXTS = (
    "queue",
    "claimed_by",
    "requester",
    "unique_key",
    "description",
    "result",
    "log",
    "oops_id",
    "target_type",
    "target_id",
)

REQUIRED_TIMES = ("scheduled_start", "date_created")

COLUMNS = (*NUMBERS, *TIMES, *TEXTS, "uuid")


class Fault(NamedTuple):
    """An impossible value.

    Attributes:
        column: where it stands.
        shown: the value, for people.
        instead: a possible value.
    """

    column: str
    shown: str
    instead: object


def breaks_a_statement(error: SQLAlchemyError) -> bool:
    """Return whether an error may come from a value in a row, not from trouble of the database."""
    return isinstance(error, DataError | IntegrityError) or is_no_text(error)


def is_no_text(error: SQLAlchemyError) -> bool:
    """Return whether SQLite could not read a text because it is not UTF-8."""
    return isinstance(error, OperationalError) and "Could not decode to UTF-8" in str(error.orig)


def take_invalid(connection: Connection, type_id: int, claimant: Claimant) -> tuple[Claim, InvalidRow] | None:
    """Claim, in order to fail it, the first job of a type whose row prevents claims; None if there is none.

    Args:
        connection: in a transaction.
        type_id: the type of the jobs.
        claimant: as for `claim`.
    """
    ready = and_(has_status(JobStatus.WAITING), Job.scheduled_start <= database_now())
    dead = and_(has_status(JobStatus.RUNNING), lease_end() <= database_now())
    rows = _read(connection, and_(Job.type_id == type_id, or_(ready, dead)))
    for number, faults in rows.items():
        if faults and (claim := _take(connection, number, faults, claimant)):
            return claim, _error(number, faults)
    return None


def mend(connection: Connection, claim: Claim) -> InvalidRow | None:
    """Replace impossible values in the row of a claimed job; return what was wrong, or None."""
    faults = _read(connection, Job.id == claim.id).get(claim.id)
    if not faults:
        return None
    values = {_attribute(fault.column): fault.instead for fault in faults if fault.column != "lease_token"}
    connection.execute(update(Job).where(Job.id == claim.id, Job.lease_token == claim.token).values(values))
    return _error(claim.id, faults)


def _error(number: int, faults: list[Fault]) -> InvalidRow:
    said = "; ".join(f"{fault.column} was {fault.shown}" for fault in faults)
    return InvalidRow(f"expected possible values in the row of job {number}, which no code has written: {said}")


def _attribute(column: str) -> str:
    return "queue_name" if column == "queue" else column


def _take(connection: Connection, number: int, faults: list[Fault], claimant: Claimant) -> Claim | None:
    values = {_attribute(fault.column): fault.instead for fault in faults}
    token = 1 if "lease_token" in values else Job.lease_token + 1
    values |= {
        "_status": JobStatus.RUNNING,
        "date_started": database_now(),
        "date_finished": None,
        "lease_expires": database_after(claimant.lease_seconds),
        "lease_token": token,
        "claimed_by": claimant.name,
    }
    is_dead = and_(has_status(JobStatus.RUNNING), lease_end() <= database_now())
    is_free = or_(has_status(JobStatus.WAITING), is_dead)
    taken = update(Job).where(Job.id == number, is_free).values(values).returning(Job.lease_token)
    found = connection.execute(taken).first()
    return None if found is None else Claim(number, found[0])


def _read(connection: Connection, condition: ColumnElement[bool]) -> dict[int, list[Fault]]:
    """Return what is wrong in the rows that meet a condition, in the order in which they would start."""
    is_sqlite = connection.dialect.name == "sqlite"
    shown: list[SQLColumnExpression[str]] = []
    for name in COLUMNS:
        column = type_coerce(Job.__table__.c[name], Text)
        if is_sqlite:  # no driver decodes it
            shown += [func.typeof(column, type_=Text()), func.hex(column, type_=Text())]
        else:
            shown.append(cast(func.to_json(column), Text) if name in TIMES else cast(column, Text))
    rows = connection.execute(select(Job.id, *shown).where(condition).order_by(*START_ORDER).limit(MOST_ROWS))
    found = {}
    for number, *values in rows:
        cells = zip(COLUMNS, _cells(values, is_sqlite), strict=True)
        found[number] = [fault for name, (kind, raw) in cells if (fault := _fault_of(name, kind, raw))]
    return found


def _cells(values: list[str | None], is_sqlite: bool) -> list[tuple[str, bytes]]:
    """Return (type, content) of each value; "null" for one that is absent."""
    if is_sqlite:
        return [(str(kind), bytes.fromhex(raw or "")) for kind, raw in zip(values[::2], values[1::2], strict=True)]
    return [("null", b"") if value is None else ("", str(value).strip('"').encode()) for value in values]


def _fault_of(name: str, kind: str, raw: bytes) -> Fault | None:
    """Return the fault of a value, or None if it is possible."""
    if kind == "null":
        return None
    text = raw.decode("utf-8", "replace")
    shown = repr(text[:MAX_SHOWN])
    if name in NUMBERS:
        least, greatest, number = NUMBERS[name]
        try:
            is_possible = kind in ("", "integer") and least <= int(text) <= greatest
        except ValueError:
            is_possible = False
        return None if is_possible else Fault(name, shown, number)
    try:
        if name in TIMES:
            datetime.fromisoformat(text if kind in ("", "text") else "")
        elif name == "uuid":
            UUID(text)
        else:
            raw.decode()
    except ValueError:
        if name == "uuid":
            return Fault(name, shown, uuid4())
        if name in TIMES:
            return Fault(name, shown, database_now() if name in REQUIRED_TIMES else None)
        return Fault(name, shown, text)
    return None
