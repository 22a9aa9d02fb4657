"""Families without their table, and with rows whose jobs are gone.

Nothing deletes such rows, and a job that gets such a number cannot be made.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Table, exists, select, text
from sqlalchemy import inspect as inspected

from jobcron.database.tables import JobSourceRow, JobTypeRow
from jobcron.jobs.job import Job
from jobcron.jobs.registry import registered
from jobcron.operations.reasons import Finding
from jobcron.queue.health import Health
from jobcron.reports.plurals import counted
from jobcron.settings.settings import Settings

LOOKED_AT = 10_000
"""How many of the newest and of the oldest rows of each family are looked at."""

NAMED = 10
"""How many numbers are named."""


def family_findings(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the families of this process.

    A table is missed only if a section runs jobs of the family: other families may be imported and never used.
    Rows of jobs that are gone are found in each family whose table the role may read.
    """
    served = _served_types(connection, settings)
    for table, (key, types) in sorted(_families().items(), key=lambda item: item[0].fullname):
        name = table.fullname
        if not _is_there(connection, table):
            if served.isdisjoint(types):
                continue
            told = f"the table {name} is not there: jobs of its family can neither be created nor run"
            remedy = "create it as you create the application's other tables, after jobcron upgrade"
            yield Finding("families", Health.CRITICAL, told, remedy)
            continue
        if not _may_read(connection, name):
            continue
        orphans = sorted({*_orphans(connection, key, newest=True), *_orphans(connection, key, newest=False)})
        if orphans:
            more = " …" if len(orphans) > NAMED else ""
            numbers = f"{' '.join(map(str, orphans[:NAMED]))}{more}"
            told = f"{name} has {counted(len(orphans), 'row')} of jobs that are gone: {numbers}"
            is_there = f"SELECT 1 FROM jobcron_job WHERE id = {name}.{key.name}"
            remedy = f"DELETE FROM {name} WHERE NOT EXISTS ({is_there}), and a foreign key with ON DELETE CASCADE"
            yield Finding("families", Health.WARNING, told, remedy)


def _families() -> dict[Table, tuple[Column[int], list[str]]]:
    """Return the tables of families, each with the column that has the job's number, and the family's types."""
    found: dict[Table, tuple[Column[int], list[str]]] = {}
    for type_name, job_class in registered().items():
        if job_class.has_family:
            (key, *_) = inspected(job_class.context_class).primary_key
            found.setdefault(key.table, (key, []))[1].append(type_name)
    return found


def _served_types(connection: Connection, settings: Settings) -> set[str]:
    """Return the names of the types whose jobs sections of the instance have run, or looked for."""
    served = select(JobSourceRow.type_id).where(JobSourceRow.name.in_(settings.source_names()))
    return set(connection.scalars(select(JobTypeRow.name).where(JobTypeRow.id.in_(served))))


def _is_there(connection: Connection, table: Table) -> bool:
    """Return whether there may be the table: where a role sees no table of a schema, any of this name counts."""
    if connection.dialect.name == "sqlite":
        return inspected(connection).has_table(table.name, table.schema)
    asked = text("SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = :name)")
    return bool(connection.scalar(asked, {"name": table.name}))


def _may_read(connection: Connection, name: str) -> bool:
    """Return whether there is a table of this name that the role may read."""
    if connection.dialect.name == "sqlite":
        return inspected(connection).has_table(name)
    asked = text("SELECT has_table_privilege(CAST(to_regclass(:name) AS oid), 'SELECT')")
    return bool(connection.scalar(asked, {"name": name}))


def _orphans(connection: Connection, key: Column[int], *, newest: bool) -> list[int]:
    first = select(key).order_by(key.desc() if newest else key).limit(LOOKED_AT).subquery()
    number = first.c[key.name]
    return list(connection.scalars(select(number).where(~exists().where(Job.id == number))))
