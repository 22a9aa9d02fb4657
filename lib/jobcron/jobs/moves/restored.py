"""A database that was restored: what may have run since the backup, and numbers that nobody outside has seen.

Whoever keeps what jobs do outside the database knows their numbers and tokens from before. A restored database
would give them out a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, text, update

from jobcron.database.clock import database_now
from jobcron.database.database import Database
from jobcron.database.retry import retry_in_transaction
from jobcron.database.statements import among
from jobcron.database.tables import Event, JobTypeRow, Run
from jobcron.database.walk import WINDOW
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind, record_all
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.lease import Claim

# why: decisions 2026-11-29, the leaps after a restore
TOKEN_LEAP = 1 << 32
"""By how much all tokens grow. A job that is claimed a thousand times a second takes seven weeks for so many."""

ID_LEAP = 100_000_000
"""How many numbers of jobs are passed over. Columns of an application's that hold them may be of four bytes."""

MAX_NUMBER = 1 << 62
"""The greatest number and token: there is always room to grow in a bigint."""


Numbered = Job | JobTypeRow | Event | Run


class Suspect(NamedTuple):
    """A job that may have run since the backup was taken.

    Attributes:
        id: the job's number.
        type_name: the name of its type.
        status: its status when the backup was taken. A RUNNING one was claimed, and has most likely begun.
        since: when it began, or was due.
    """

    id: int
    type_name: str
    status: JobStatus
    since: datetime | None


class Restored:
    """Makes a restored database safe to run on, step by step. Each step may be repeated.

    Args:
        database: the database.
        taken: when the backup was taken; jobs that were created or begun later are no suspects. None: there are
            no such jobs.
        actor: who says so, for the histories of the jobs.
    """

    def __init__(self, database: Database, taken: datetime | None, actor: str) -> None:
        self._database = database
        self._taken = taken
        self._actor = actor

    def suspects(self) -> Iterator[list[Suspect]]:
        """Yield the jobs that may have run since the backup, a window at a time; only read."""
        last = 0
        while True:
            with self._database.begin(writing=False) as connection:
                found = self._window(connection, last)
            if not found:
                return
            yield found
            last = found[-1].id

    def suspend(self, suspects: list[Suspect]) -> list[Suspect]:
        """Suspend those of these jobs that have not been moved meanwhile, and return them as they were."""
        done = retry_in_transaction(
            self._database, "the restored jobs", lambda connection: self._suspend(connection, suspects)
        )
        return [suspect for suspect in suspects if suspect.id in done]

    def pass_over_ids(self) -> int:
        """Let the next job have a number that no job had before the restore; return the last one passed over.

        Logical replication brings rows, but not the state of sequences: the other tables' are set to their rows.
        """
        with self._database.begin() as connection:
            if self._database.dialect == "sqlite":
                return _pass_over_sqlite(connection)
            for table in (JobTypeRow, Event, Run):
                sequence, at = _sequence(connection, table)
                connection.execute(select(func.setval(sequence, at)))
            sequence, at = _sequence(connection, Job)
            return connection.scalar(select(func.setval(sequence, _leap_from(at)))) or 0

    def raise_tokens(self) -> tuple[int, int]:
        """Raise all tokens; return how many, and how many are too great to be raised: no claim made those."""
        raised, last = 0, 0
        with self._database.begin(writing=False) as connection:
            left = connection.scalar(select(func.count()).where(_is_too_great())) or 0
        while True:
            window = select(Job.id).where(Job.id > last).order_by(Job.id).limit(WINDOW).subquery()
            with self._database.begin() as connection:
                end = connection.scalar(select(func.max(window.c.id)))
                if end is None:
                    return raised, left
                raised += connection.execute(
                    update(Job)
                    .where(Job.id > last, Job.id <= end, ~_is_too_great())
                    .values({Job.lease_token: Job.lease_token + TOKEN_LEAP})
                ).rowcount
            last = end

    def _window(self, connection: Connection, last: int) -> list[Suspect]:
        columns = (Job.id, JobTypeRow.name, Job._status, Job.date_started, Job.scheduled_start)
        query = (
            select(*columns)
            .join(JobTypeRow, JobTypeRow.id == Job.type_id)
            .where(Job.id > last, self._may_have_run())
            .order_by(Job.id)
            .limit(WINDOW)
        )
        return [
            Suspect(number, name, status, started if status is JobStatus.RUNNING else due)
            for number, name, status, started, due in connection.execute(query)
        ]

    def _may_have_run(self) -> ColumnElement[bool]:
        """Return the condition that a job was running when the backup was taken, or could begin until now."""
        began = has_status(JobStatus.RUNNING)
        due = and_(has_status(JobStatus.WAITING), Job.scheduled_start <= database_now())
        if self._taken is not None:
            began = and_(began, or_(Job.date_started.is_(None), Job.date_started <= self._taken))
            due = and_(due, Job.date_created <= self._taken)
        return or_(began, due)

    def _suspend(self, connection: Connection, suspects: list[Suspect]) -> set[int]:
        """Suspend jobs, and return the numbers of those that have not been moved meanwhile."""
        moved = set()
        for status, why in (
            (JobStatus.WAITING, "it may have run since"),
            (JobStatus.RUNNING, "it was running, and may have ended since"),
        ):
            numbers = [suspect.id for suspect in suspects if suspect.status is status]
            change = update(Job).where(among(Job.id, numbers), has_status(status))
            change = change.values(_status=JobStatus.SUSPENDED, lease_expires=None, date_finished=None)
            if status is JobStatus.RUNNING:  # it has begun, so another job may have its key meanwhile
                change = change.values(begun_token=Job.lease_token)
            rows = connection.execute(change.returning(Job.id, Job.lease_token))
            claims = [Claim(number, token) for number, token in rows]
            if claims:
                reason = f"the database was restored{self._as_of()}: {why}"
                record_all(connection, claims, EventKind.SUSPENDED, reason, actor=self._actor)
            moved |= {claim.id for claim in claims}
        return moved

    def _as_of(self) -> str:
        return "" if self._taken is None else f" as of {self._taken:%Y-%m-%d %H:%M:%S%z}"


def _is_too_great() -> ColumnElement[bool]:
    return Job.lease_token > MAX_NUMBER - TOKEN_LEAP


def _leap_from(last: int) -> int:
    """Return the last number to pass over; all of them, if there are not enough."""
    return max(last, min(last + ID_LEAP, MAX_NUMBER))


def _sequence(connection: Connection, table: type[Numbered]) -> tuple[str, int]:
    """Return the sequence of a table's numbers on PostgreSQL, and the greatest number taken, at least 1."""
    sequence = connection.scalar(select(func.pg_get_serial_sequence(table.__tablename__, "id")))
    at = connection.scalar(text(f"SELECT last_value FROM {sequence}"))
    # A number that somebody wrote by hand must not use up all that are left.
    greatest = connection.scalar(select(func.max(table.id)).where(table.id <= MAX_NUMBER))
    return str(sequence), max(1, at or 1, greatest or 1)


def _pass_over_sqlite(connection: Connection) -> int:
    last = connection.scalar(select(func.max(Job.id))) or 0
    at = connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'jobcron_job'"))
    values = {"seq": _leap_from(max(last, at or 0))}
    if at is None:
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('jobcron_job', :seq)"), values)
    else:
        connection.execute(text("UPDATE sqlite_sequence SET seq = :seq WHERE name = 'jobcron_job'"), values)
    return values["seq"]
