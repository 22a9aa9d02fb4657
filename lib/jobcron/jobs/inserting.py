"""Insert the shared rows of jobs.

The statement itself looks up the number of the job's type by its name. A number that a process remembered could be
that of another type: in another schema, after a restore, or where the tables were emptied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn, TypeVar
from uuid import uuid4

from sqlalchemy import Column, Connection, TextClause, inspect, literal, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ClauseElement

from jobcron.database.statements import AnyInsert, among, insert_into
from jobcron.database.tables import JobTypeRow, jobs_connection
from jobcron.database.transactions import no_tables
from jobcron.errors import DuplicateJob
from jobcron.jobs.job import Job, can_hold_key
from jobcron.jobs.known_types import find_or_insert
from jobcron.jobs.moves.twins import end_expired_holders

MISSING_TABLE = re.compile(r'no such table: (\w+\.)?jobcron_|^relation "([^"]+\.)?jobcron_')
"""What SQLite and PostgreSQL say of a table that is not there."""

Inserted = TypeVar("Inserted")
"""What a statement returns of the rows that it inserts."""

_KEY: list[str | TextClause] = ["type", "unique_key", text("(CASE WHEN begun_token = 0 THEN 0 END)")]
"""What the index of unique keys has: the last is NULL for a job that has begun, whose key is free."""

_HAS_KEY = text("status IN (0, 4, 7) AND unique_key IS NOT NULL")
"""The condition of that index. PostgreSQL finds by it the index of before as well, which older code needs.

SQLite takes one index only, word for word. Upgraded tables have both, and the other one would raise an error; so
SQLite is told of none, which means any.
"""


def insert_job(session: Session, type_name: str, values: dict[str, object]) -> Job:
    """Insert the shared row of a job, and return it.

    Args:
        session: the caller's session.
        type_name: the name of its type.
        values: values of the row, by attribute; None is the column's default.

    Raises:
        DuplicateJob: a job of this type with this key has not started yet. The transaction can go on.
        SchemaMismatch: the session's database has no tables of jobcron's.
    """
    connection = jobs_connection(session)
    values = {"uuid": uuid4(), **values}
    insert = _insert(connection, type_name, values)
    if values.get("unique_key") is not None:
        insert = pass_over_taken(insert)
    return insert_new(connection, type_name, values, lambda: _returned(session, insert))


def insert_new(
    connection: Connection, type_name: str, values: dict[str, object], insert: Callable[[], Inserted | None]
) -> Inserted:
    """Insert the shared row of a job whose key is free, and return what the statement returns.

    Args:
        connection: of the caller's transaction.
        type_name: the name of its type.
        values: the row's, by attribute.
        insert: executes the statement; returns None if it inserts nothing, for want of the type or of a free key.

    Raises: as for `insert_job`.
    """
    found = insert_known(connection, type_name, insert)
    if found is None:
        keys = [str(values["unique_key"])]
        if end_expired_holders(connection, type_name, keys):
            found = insert_known(connection, type_name, insert)
        if found is None:
            raise_duplicate(connection, type_name, keys)
    return found


def find_or_insert_job(session: Session, type_name: str, values: dict[str, object]) -> tuple[Job, bool]:
    """Return the job with this unique key that has not begun and can start, or insert one; and whether it is new.

    Its row is locked until the transaction ends. A job with this key that has expired is ended.

    Args: as for `insert_job`; ``unique_key`` is given.

    Raises:
        SchemaMismatch: the session's database has no tables of jobcron's.
    """
    mark = uuid4()
    connection = jobs_connection(session)
    insert = or_find(_insert(connection, type_name, {**values, "uuid": mark}))
    job = insert_known(connection, type_name, lambda: _returned(session, insert))
    assert job is not None
    if job.uuid != mark and end_if_over(connection, type_name, values, job.expires_at):
        session.expire(job)
        job = insert_known(connection, type_name, lambda: _returned(session, insert))
        assert job is not None
    return job, job.uuid == mark


def end_if_over(connection: Connection, type_name: str, values: dict[str, object], expires_at: object) -> bool:
    """End a job that was found by the key of a new one, if it has expired; return whether it had.

    Args:
        connection: of the transaction.
        type_name: the name of its type.
        values: those of the new one.
        expires_at: when the one that was found expires; None: never.
    """
    keys = [str(values["unique_key"])]
    return expires_at is not None and end_expired_holders(connection, type_name, keys)


def pass_over_taken(insert: AnyInsert) -> AnyInsert:
    """Return an INSERT of shared rows that passes over those whose unique key is taken."""
    if isinstance(insert, sqlite.Insert):
        return insert.on_conflict_do_nothing()
    return insert.on_conflict_do_nothing(index_elements=_KEY, index_where=_HAS_KEY)


def or_find(insert: AnyInsert) -> AnyInsert:
    """Return an INSERT of a shared row that locks the one with its unique key, if there is one, and returns it."""
    set_ = {"unique_key": insert.excluded.unique_key}  # changes nothing, and locks the row
    if isinstance(insert, sqlite.Insert):
        return insert.on_conflict_do_update(set_=set_)
    return insert.on_conflict_do_update(index_elements=_KEY, index_where=_HAS_KEY, set_=set_)


def type_number(session: Session, type_name: str) -> int:
    """Return the number of a job type in the session's database; a new type gets one.

    It is true in this transaction only.

    Raises:
        SchemaMismatch: the session's database has no tables of jobcron's.
    """
    connection = jobs_connection(session)
    try:
        return find_or_insert(connection, type_name)
    except DBAPIError as error:
        _refuse_missing_tables(connection, error)


def raise_duplicate(connection: Connection, type_name: str, keys: list[str]) -> NoReturn:
    """Raise the error of a unique key that is taken.

    Args:
        connection: of the transaction.
        type_name: the name of the jobs' type.
        keys: unique keys, of which one at least is taken.

    Raises:
        DuplicateJob: always.
    """
    number = select(JobTypeRow.id).where(JobTypeRow.name == type_name).scalar_subquery()
    taken = select(Job.unique_key, Job.id).where(
        Job.type_id == number, among(Job.unique_key, keys), can_hold_key(), Job.begun_token == 0
    )
    key, twin = connection.execute(taken.order_by(Job.id).limit(1)).first() or (keys[0], None)
    other = "another job" if twin is None else f"job {twin}"
    error = DuplicateJob(
        f"expected the unique key {key!r} of a new job {type_name} to be free, found {other}, which has not "
        "started"
    )
    error.add_note("acquire() returns that job instead")  # for who writes code: a traceback shows it
    raise error


def _insert(connection: Connection, type_name: str, values: dict[str, object]) -> AnyInsert:
    """Return the INSERT of a shared row, whose type is named."""
    columns = {_column(name): value for name, value in values.items() if value is not None}
    given = [
        value if isinstance(value, ClauseElement) else literal(value, column.type)
        for column, value in columns.items()
    ]
    number = select(JobTypeRow.id, *given).where(JobTypeRow.name == type_name)
    return insert_into(Job, connection).from_select(["type", *(column.name for column in columns)], number)


def _column(name: str) -> Column[object]:
    column: Column[object] = inspect(Job).column_attrs[name].columns[0]  # type: ignore[assignment]
    return column


def _returned(session: Session, insert: AnyInsert) -> Job | None:
    asked = insert.returning(Job)
    return session.scalars(asked, execution_options={"populate_existing": True}).one_or_none()


def insert_known(connection: Connection, type_name: str, insert: Callable[[], Inserted | None]) -> Inserted | None:
    """Insert a row, and its type if that is new; return None if there is a conflict."""
    for _ in range(2):
        try:
            found = insert()
        except DBAPIError as error:
            _refuse_missing_tables(connection, error)
        if found is not None:
            return found
        # Even if it is there now: another session may have committed it since.
        find_or_insert(connection, type_name)
    return None


def _refuse_missing_tables(connection: Connection, error: DBAPIError) -> NoReturn:
    """Say that jobcron's tables are missing, if that is the error; otherwise raise it again."""
    if MISSING_TABLE.search(str(error.orig)):
        raise no_tables(connection.engine) from error
    raise error
