"""Create many jobs at once, in few statements (LP-34)."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from functools import cache
from typing import cast
from uuid import uuid4

from sqlalchemy import Connection, Table, func, insert, inspect
from sqlalchemy.orm import Mapper, RelationshipProperty, Session
from sqlalchemy.sql.elements import ClauseElement, Null

from jobcron.database.statements import insert_into
from jobcron.database.tables import jobs_connection
from jobcron.errors import InvalidJobData
from jobcron.jobs._creating.arrays import has_simple_types, insert_rows
from jobcron.jobs._creating.offered import offer_drafts
from jobcron.jobs._creating.plain import is_unheard, is_written, plain
from jobcron.jobs._job_class import JobClass
from jobcron.jobs.draft import Draft
from jobcron.jobs.inserting import pass_over_taken, raise_duplicate, type_number
from jobcron.jobs.job import Job
from jobcron.jobs.moves.twins import end_expired_holders


def insert_drafts(session: Session, owner: type[JobClass], drafts: list[Draft]) -> list[int]:
    """Insert the rows of jobs, and return their numbers in the same order.

    Raises:
        DuplicateJob: a unique key is taken. Nothing is inserted then.
    """
    if not drafts:
        return []
    number = type_number(session, owner.type_name)
    rows = [{"type_id": number, **_written(made.job)} for made in drafts]
    is_quick = _is_quick(session, owner, drafts)
    keys = [str(row["unique_key"]) for row in rows if row.get("unique_key") is not None]
    with session.begin_nested() if keys else nullcontext():
        connection = jobs_connection(session)  # which begins the savepoint
        if keys:
            end_expired_holders(connection, owner.type_name, keys)
        numbers = _as_arrays(connection, rows, keys) if is_quick else _by_orm(session, rows, keys)
        if len(numbers) < len(rows):
            twice = [key for key, times in Counter(keys).items() if times > 1]
            raise_duplicate(connection, owner.type_name, twice or keys)
    if owner.has_family:
        _insert_family(session, owner, drafts, numbers, is_quick)
    offer_drafts(session, owner, drafts, numbers)
    return numbers


def _insert_family(
    session: Session, owner: type[JobClass], drafts: list[Draft], numbers: list[int], is_quick: bool
) -> None:
    family = owner.context_class
    rows: list[dict[str, object]] = [
        {"id": job, "job_type": owner.class_job_type, **_columns(family, made.family)}
        for job, made in zip(numbers, drafts, strict=True)
    ]
    known = plain(family) if is_quick else None
    if known is None:
        session.execute(insert(family), rows)
        return
    columns = dict(zip(known.attributes, known.table.columns, strict=True))
    of_table = [
        {**known.constants, **{columns[k].key: v for k, v in row.items() if is_written(columns[k], v)}}
        for row in rows
    ]
    insert_rows(jobs_connection(session), known.table, of_table, None)


def _is_quick(session: Session, owner: type[JobClass], drafts: list[Draft]) -> bool:
    """Return whether rows can be inserted as arrays: nobody listens who would miss what the session does."""
    dialect = jobs_connection(session).dialect
    if dialect.name != "postgresql" or not is_unheard(session):
        return False
    if owner.has_family:
        known = plain(owner.context_class)
        if known is None or not has_simple_types(known.table, dialect):
            return False
    return not any(
        isinstance(value, ClauseElement) and not isinstance(value, Null)
        for made in drafts
        for value in (*made.job.values(), *made.family.values())
    )


def _as_arrays(connection: Connection, rows: list[dict[str, object]], keys: list[str]) -> list[int]:
    mapper = inspect(Job)
    names = {attribute.key: str(attribute.columns[0].key) for attribute in mapper.column_attrs}
    of_table = [{"max_retries": 0, **{names[name]: value for name, value in row.items()}} for row in rows]
    return insert_rows(
        connection,
        cast("Table", mapper.local_table),
        of_table,
        mapper.columns.id,
        {"uuid": func.gen_random_uuid()},
        pass_over_taken if keys else None,
    )


def _by_orm(session: Session, rows: list[dict[str, object]], keys: list[str]) -> list[int]:
    # render_nulls: None means NULL here, not the column's default. The order of the returned rows is not
    # guaranteed, and requesting one would cost SQLite a statement for each row.
    # why: decisions 2026-11-24, `createMultiple` returns numbers
    asked = insert_into(Job, jobs_connection(session))
    if keys:
        asked = pass_over_taken(asked)
    rows = [{"uuid": uuid4(), **row} for row in rows]
    asked_too = {"render_nulls": True}
    inserted = session.execute(asked.returning(Job.uuid, Job.id), rows, execution_options=asked_too)
    numbers_by_uuid = {row.uuid: row.id for row in inserted}
    return [numbers_by_uuid[row["uuid"]] for row in rows if row["uuid"] in numbers_by_uuid]


def _written(values: dict[str, object]) -> dict[str, object]:
    """Return the values of a shared row to write: None is the column's default, as in a mapped object."""
    return {
        name: None if isinstance(value, Null) else value for name, value in values.items() if value is not None
    }


def _columns(family: type[object], values: dict[str, object]) -> dict[str, object]:
    """Return a family's values with relationships replaced by their foreign keys.

    Raises:
        InvalidJobData: a relationship is to several objects.
    """
    found: dict[str, object] = {}
    for name, value in values.items():
        keys = _foreign_keys(inspect(family), name)
        if keys is None:
            found[name] = value
        else:
            found.update({own: None if value is None else getattr(value, key) for own, key in keys})
    return found


@cache
def _foreign_keys(mapper: Mapper[object], name: str) -> list[tuple[str, str]] | None:
    """Return the attributes that refer to an object, and its own that they have; None: that is no relationship."""
    attribute = mapper.attrs[name]
    if not isinstance(attribute, RelationshipProperty):
        return None
    if attribute.uselist or not attribute.local_remote_pairs:
        family = mapper.class_
        raise InvalidJobData(f"expected {family.__name__}.{name} to be given to create(), one by one")
    return [
        (mapper.get_property_by_column(local).key, attribute.mapper.get_property_by_column(remote).key)
        for local, remote in attribute.local_remote_pairs
    ]
