"""The statements that insert the rows of one job, kept: making such a statement takes longer than executing it.

On PostgreSQL one statement inserts the shared row and the family's. SQLite needs two.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from sqlalchemy import Column, Executable, Table, bindparam, insert, inspect, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from jobcron.database.statements import AnyInsert
from jobcron.database.tables import JobTypeRow
from jobcron.jobs.inserting import or_find, pass_over_taken
from jobcron.jobs.job import Job

TYPE_NAME = "name_of_type"
"""The parameter with the name of the job's type."""

OF_JOB, OF_FAMILY = "job_", "family_"
"""What precedes the name of a column in the name of its parameter."""

JOB_COLUMNS: dict[str, Column[object]] = {
    attribute.key: attribute.columns[0]
    for attribute in inspect(Job).column_attrs
    if isinstance(attribute.columns[0], Column)
}
"""The columns of a shared row, by its attributes."""

_COME_BACK_EQUAL = frozenset({"uuid", "json_data"})
"""Attributes whose values the database returns as they were given."""

_OF_FOUND = frozenset({"uuid", "expires_at"})
"""What is asked of a job besides its number if it may be another one."""

_KEPT = 500


@lru_cache(_KEPT)
def returned(keys: tuple[str, ...], finds: bool) -> tuple[str, ...]:
    """Return the attributes that the statement returns of a shared row, in their order.

    All others are as they were given, or NULL.

    Args: as for `insert_shared`.
    """
    asked = {"id", "type_id"} | (set(keys) - _COME_BACK_EQUAL) | (_OF_FOUND if finds else set())
    return tuple(key for key, column in JOB_COLUMNS.items() if key in asked or column.server_default is not None)


@lru_cache(_KEPT)
def insert_both(
    dialect: str, keys: tuple[str, ...], finds: bool, has_key: bool, family: Table, columns: tuple[str, ...]
) -> Executable:
    """Return PostgreSQL's statement that inserts a shared row and a family's row.

    It returns the shared one, and behind that what the database makes of the other; of a job that is found NULLs.

    Args: as for `insert_shared` and `insert_family`.
    """
    job = insert_shared(dialect, keys, finds, has_key).cte("new_job")
    (number,) = family.primary_key.columns
    given = [bindparam(f"{OF_FAMILY}{name}", type_=family.c[name].type) for name in columns]
    source = select(job.c.id, *given)
    if finds:
        source = source.where(job.c.uuid == bindparam(f"{OF_JOB}uuid", type_=Job.__table__.c.uuid.type))
    made = postgresql.insert(family).from_select([number.key, *columns], source, include_defaults=False)
    asked = made_by_server(family, columns)
    if not asked:
        return select(*job.c).add_cte(made.cte("new_row"))
    row = made.returning(*asked).cte("new_row")
    return select(*job.c, *row.c).select_from(job.outerjoin(row, true()))


def made_by_server(family: Table, given: Collection[str]) -> list[Column[object]]:
    """Return the columns of a family's table whose values the database makes, but for those that are given.

    They are all that is read of the row: whoever creates jobs may have no privilege to read the table.
    """
    return [c for c in family.columns if c.server_default is not None and c.key not in given and not c.primary_key]


@lru_cache(_KEPT)
def insert_shared(
    dialect: str, keys: tuple[str, ...], finds: bool, has_key: bool
) -> ReturningInsert[tuple[object, ...]]:
    """Return the statement that inserts a shared row, whose type is named, and returns it.

    Args:
        dialect: "sqlite" or "postgresql".
        keys: the attributes that are given, as parameters.
        finds: whether a job that has the unique key is returned instead.
        has_key: whether there is a unique key; nothing is returned if it is taken.
    """
    kind = sqlite.insert if dialect == "sqlite" else postgresql.insert
    columns = [JOB_COLUMNS[key] for key in keys]
    given = [bindparam(f"{OF_JOB}{key}", type_=column.type) for key, column in zip(keys, columns, strict=True)]
    named = select(JobTypeRow.id, *given).where(JobTypeRow.name == bindparam(TYPE_NAME))
    made: AnyInsert = kind(Job).from_select(
        ["type", *(column.name for column in columns)], named, include_defaults=False
    )
    if finds:
        made = or_find(made)
    elif has_key:
        made = pass_over_taken(made)
    return made.returning(*(Job.__table__.c[JOB_COLUMNS[key].name] for key in returned(keys, finds)))


@lru_cache(_KEPT)
def insert_family(family: Table, columns: tuple[str, ...]) -> Executable:
    """Return the statement that inserts a family's row, whose parameter ``number`` is the job's.

    It returns what the database makes of it, if there are such columns.

    Args:
        family: the table.
        columns: the keys of the columns that are given, as parameters.
    """
    (number,) = family.primary_key.columns
    given = {name: bindparam(f"{OF_FAMILY}{name}", type_=family.c[name].type) for name in columns}
    made = insert(family).values({number.key: bindparam("number"), **given})
    asked = made_by_server(family, columns)
    return made.returning(*asked) if asked else made
