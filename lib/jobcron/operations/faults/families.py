"""Rows of families whose jobs are gone: nothing deletes them, and a job that gets such a number cannot be made."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Table, exists, select, text
from sqlalchemy import inspect as inspected

from jobcron.jobs.job import Job
from jobcron.jobs.registry import registered
from jobcron.operations.reasons import Finding
from jobcron.queue.health import Health
from jobcron.reports.plurals import counted

LOOKED_AT = 10_000
"""How many of the newest and of the oldest rows of each family are looked at."""

NAMED = 10
"""How many numbers are named."""


def family_findings(connection: Connection) -> Iterator[Finding]:
    """Yield the families of this process that have rows without jobs, as far as the role may read them."""
    for table, key in sorted(_families().items(), key=lambda item: item[0].fullname):
        name = table.fullname
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


def _families() -> dict[Table, Column[int]]:
    """Return the tables of families, each with the column that has the job's number."""
    found: dict[Table, Column[int]] = {}
    for job_class in registered().values():
        if job_class.has_family:
            (key, *_) = inspected(job_class.context_class).primary_key
            found[key.table] = key
    return found


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
