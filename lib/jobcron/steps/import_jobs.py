"""Copy the waiting jobs of django-db-queue's table (DBQ-01 to DBQ-03, DBQ-08).

A copy has the UUID of the original, so that a second import does not copy it again. Nothing is written to the old
table.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, SQLColumnExpression, Text, cast, column, inspect, select, table, text
from sqlalchemy.orm import Session

from jobcron.database.database import Database
from jobcron.database.tables import JobTypeRow
from jobcron.errors import ConfigurationError, DatabaseUnavailable, InvalidJobData
from jobcron.jobs.draft import draft
from jobcron.jobs.inserting import type_number
from jobcron.jobs.job import Job
from jobcron.steps._job import StepsJob
from jobcron.steps._progress import Progress, written
from jobcron.steps.definitions import FAMILY, job_classes
from jobcron.steps.values import queue, read_json, stored_priority

TABLE = "django_dbq_job"

WAITING = ("NEW", "READY")
UNDER_WAY = ("PROCESSING", "STOPPING")

NEEDED = {"id", "created", "name", "state", "next_task", "workspace", "queue_name"}

IMPORT_LOCK = 0x6A6F6264
"""Serialises two imports at once, on PostgreSQL; on SQLite only one transaction writes at a time anyway."""


OldRow = Mapping[str, Any]
"""A row of the table by its columns, untyped, because their types differ between versions of Django."""


@dataclass
class Report:
    """The result of an import.

    Attributes:
        copied: how many jobs were copied, by name.
        known: how many jobs had been copied before.
        under_way: the ids, names and tasks of jobs that a worker is running, or was running when it was stopped.
        ended: how many jobs have ended, and are not copied.
        refused: the jobs that could not be copied, and why.
    """

    copied: Counter[str] = field(default_factory=Counter)
    known: int = 0
    under_way: list[str] = field(default_factory=list)
    ended: int = 0
    refused: list[str] = field(default_factory=list)

    def lines(self, is_dry: bool) -> Iterator[str]:
        """Yield the lines of the report."""
        verb = "would be copied" if is_dry else "copied"
        for name, count in sorted(self.copied.items()):
            yield f"{name}: {count} {verb}"
        yield f"{self.copied.total()} {verb}, {self.known} copied earlier, {self.ended} ended and not copied"
        for line in self.under_way:
            yield f"not copied, a worker has it: {line} (--processing copies it)"
        for line in self.refused:
            yield f"NOT COPIED: {line}"


def move(source_url: str, target: Database, *, is_dry: bool = False, with_processing: bool = False) -> Report:
    """Copy the jobs in one transaction.

    Args:
        source_url: the URL of the database with the table.
        target: the instance's database.
        is_dry: whether to write nothing.
        with_processing: whether to copy also jobs that a worker has taken. The workers must have been stopped.

    Raises:
        ConfigurationError: the URL, or its table, is wrong.
        DatabaseUnavailable: a database cannot be reached.
    """
    source = Database(source_url, origin="SOURCE_URL")
    if source.dialect == "sqlite" and not os.path.isfile(source.engine.url.database or ""):
        raise DatabaseUnavailable(f"SOURCE_URL: expected a database, there is none: {source.describe()}")
    report = Report()
    try:
        with source.begin(writing=False) as reading, target.session(writing=not is_dry) as session:
            if not is_dry and target.dialect == "postgresql":
                session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": IMPORT_LOCK})
            known = _known(session)
            states = (*WAITING, *UNDER_WAY) if with_processing else WAITING
            for row in _rows(reading, source.describe()):
                _take(row, states, known, report, session, is_dry)
            session.commit()
    finally:
        source.close()
    return report


def _known(session: Session) -> set[UUID]:
    jobs = select(Job.uuid).join(JobTypeRow, Job.type_id == JobTypeRow.id)
    return set(session.scalars(jobs.where(JobTypeRow.name.startswith(f"{FAMILY}."))))


def _rows(connection: Connection, where: str) -> Iterator[OldRow]:
    """Iterate over the rows, in the order of creation; older versions of the table lack columns.

    Columns are read untyped, because their types differ between versions of Django.
    """
    if not inspect(connection).has_table(TABLE):
        raise ConfigurationError(f"SOURCE_URL: expected the table {TABLE} in {where}, found none")
    found = {c["name"] for c in inspect(connection).get_columns(TABLE)}
    if missing := NEEDED - found:
        raise ConfigurationError(
            f"SOURCE_URL: expected the table {TABLE} in {where} to be django-db-queue's, it lacks "
            f"{', '.join(sorted(missing))}"
        )
    names = sorted(NEEDED | ({"priority", "run_after"} & found))
    columns: dict[str, SQLColumnExpression[object]] = {name: column(name) for name in names}
    if connection.dialect.name == "postgresql":
        # The driver would parse JSON itself, and a single row nested too deeply would end the whole import.
        columns["workspace"] = cast(column("workspace"), Text).label("workspace")
    rows = select(*columns.values()).select_from(table(TABLE))
    for row in connection.execute(rows.order_by(column("created"), column("id"))):
        yield dict(row._mapping)


def _take(
    row: OldRow,
    states: tuple[str, ...],
    known: set[UUID],
    report: Report,
    session: Session,
    is_dry: bool,
) -> None:
    """Copy a row, or record in the report why it was not copied."""
    shown = f"{row['id']} {row['name']} ({row['state']}, next task {row['next_task'] or 'none'})"
    if row["state"] not in states and row["state"] in UNDER_WAY:
        report.under_way.append(shown)
    elif row["state"] not in states:
        report.ended += 1
    else:
        try:
            uuid = UUID(str(row["id"]))
            if uuid in known:
                report.known += 1
                return
            job = _job(row, uuid)
        except (ValueError, InvalidJobData) as error:
            report.refused.append(f"{shown}: {error}")
            return
        report.copied[row["name"]] += 1
        if not is_dry:
            job.type_id = type_number(session, f"{FAMILY}.{row['name']}")
            session.add(job)
            session.flush()


def _job(row: OldRow, uuid: UUID) -> Job:
    """Return a new job with the values of a row.

    Raises:
        ValueError: a value does not fit.
        InvalidJobData: the workspace does not fit.
    """
    found: type[StepsJob] | None = job_classes().get(row["name"])
    if found is None:
        raise ValueError("no section and no class defines jobs of this name")
    names = found.task_names()
    if row["next_task"] not in names:
        raise ValueError(f"its next task is none of theirs, which are {', '.join(names)}")
    created = _moment(row["created"])
    workspace = row["workspace"]
    place = names.index(row["next_task"])
    progress = Progress(tuple(names[:place]), tuple(names[place:]))
    checked = found.checked(None if workspace is None else read_json(workspace))
    made = draft(
        found,
        None,
        {
            "queue_name": queue(row["queue_name"]),
            "priority": stored_priority(row.get("priority") or 0),
            # As in django-db-queue, the oldest job of a priority is first.
            "scheduled_start": created if row.get("run_after") is None else _moment(row["run_after"]),
        },
    )
    return Job(uuid=uuid, date_created=created, steps=written(progress, checked), **made.job)


def _moment(value: object) -> datetime:
    """Return a value as a time; one without a time zone is in UTC, as Django writes it to SQLite.

    Raises:
        ValueError: the value is not a time.
    """
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
