"""Create one job: its shared row, and its family's.

Mostly by one statement on PostgreSQL and two on SQLite, whose returned rows become objects of the session. Where
somebody could see that the unit of work is left out (`plain`), it inserts the family's row.
"""

# why: decisions 2026-11-30, one job is created without the unit of work

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeVar, cast
from uuid import uuid4

from sqlalchemy import Connection, delete, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ClauseElement, Null

from jobcron.database.tables import jobs_connection
from jobcron.errors import SchemaMismatch
from jobcron.jobs._creating import held
from jobcron.jobs._creating.loaded import as_job, persist_family
from jobcron.jobs._creating.plain import Plain, is_unheard, plain, values_of
from jobcron.jobs._job_class import JobClass
from jobcron.jobs.draft import Draft
from jobcron.jobs.inserting import end_if_over, find_or_insert_job, insert_job, insert_known, insert_new
from jobcron.jobs.job import Job

Owner = TypeVar("Owner", bound=JobClass)
"""A job class."""

Rows = tuple[dict[str, object], dict[str, object]]
"""The values of a shared row that the statement returns, by attribute, and those that the database has made of a
family's, by the keys of its columns."""


def create_one(owner: type[Owner], session: Session, made: Draft) -> Owner:
    """Create a job, and return it.

    Args:
        owner: its class.
        session: the caller's session, flushed.
        made: its values.

    Raises:
        DuplicateJob: its unique key is taken. Nothing is written, and the transaction can go on.
        SchemaMismatch: the session's database has no tables of jobcron's.
    """
    row = _family_row(owner, made)
    new = _quick(owner, session, made, row)
    if new is None:
        return _by_unit_of_work(owner, session, insert_job(session, owner.type_name, made.job), made, row)
    with _commits_nothing_after_errors(session, new.connection):
        rows = insert_new(new.connection, owner.type_name, new.job, new.insert)
    return _as_objects(owner, session, new, rows, row)


def find_or_create_one(owner: type[Owner], session: Session, made: Draft) -> Owner | int:
    """Return a job that is created now, or the number of the one that has its unique key, which is locked.

    That one has not begun. One that has expired is ended.

    Args: as for `create_one`; there is a unique key.

    Raises:
        SchemaMismatch: as for `create_one`.
    """
    row = _family_row(owner, made)
    new = _quick(owner, session, made, row, finds=True)
    if new is None:
        job, is_new = find_or_insert_job(session, owner.type_name, made.job)
        return _by_unit_of_work(owner, session, job, made, row) if is_new else job.id
    with _commits_nothing_after_errors(session, new.connection):
        rows = insert_known(new.connection, owner.type_name, new.insert)
        assert rows is not None
        if not new.is_mine(rows[0]) and end_if_over(
            new.connection, owner.type_name, new.job, rows[0]["expires_at"]
        ):
            rows = insert_known(new.connection, owner.type_name, new.insert)
            assert rows is not None
    if new.is_mine(rows[0]):
        return _as_objects(owner, session, new, rows, row)
    return cast("int", rows[0]["id"])


@contextmanager
def _commits_nothing_after_errors(session: Session, connection: Connection) -> Iterator[None]:
    """Let a session refuse to commit after an error of the database, until it is rolled back, as after a flush.

    PostgreSQL has given the transaction up by then, or what there is of it since the savepoint. It rolls back when
    it is told to commit, and says so to nobody: actions after the commit would be done for what does not exist.
    """
    try:
        yield
    except (DBAPIError, SchemaMismatch) as error:
        if connection.dialect.name == "postgresql":
            # It inserts nothing, and fails with this very error, which the session then knows as the cause.
            with suppress(Exception):
                session.bulk_insert_mappings(inspect(Job), _rows_that_fail(error))
        raise


def _rows_that_fail(error: Exception) -> Iterator[dict[str, object]]:
    raise error
    yield {}


def _family_row(owner: type[JobClass], made: Draft) -> object | None:
    """Return a new row of a plain family, in no session yet; None: the class has none."""
    if not owner.has_family or plain(owner.context_class) is None:
        return None
    row: object = owner.context_class(job_type=owner.class_job_type, **made.family)
    return row


def _by_unit_of_work(owner: type[Owner], session: Session, job: Job, made: Draft, row: object | None) -> Owner:
    """Insert the family's row of a job, and return the job.

    Args:
        owner: its class.
        session: the caller's session.
        job: the shared row.
        made: the values of the rows.
        row: the family's row, if there is one already. Others are made now: a related object may know them at
            once, and is not to be flushed before they are in the session.
    """
    if not owner.has_family:
        return owner._new(session, job)
    if row is None:
        row = owner.context_class(job_type=owner.class_job_type, job=job, **made.family)
    else:
        row.job = job  # type: ignore[attr-defined]
    session.add(row)
    session.flush()
    return owner._new(session, row)


def _as_objects(owner: type[Owner], session: Session, new: _New, rows: Rows, row: object | None) -> Owner:
    job = as_job(session, {**new.job, **rows[0]})
    if row is None or new.known is None:
        return owner._new(session, job)
    persist_family(session, row, new.known, {**new.family, **rows[1]}, job)
    return owner._new(session, row)


def _quick(
    owner: type[JobClass], session: Session, made: Draft, row: object | None, *, finds: bool = False
) -> _New | None:
    """Return how to insert the rows of a job without the unit of work; None: they must not be."""
    if any(isinstance(value, ClauseElement) and not isinstance(value, Null) for value in made.job.values()):
        return None
    known = None if row is None else plain(type(row))
    values = {} if row is None or known is None else values_of(session, row, known)
    if owner.has_family and (row is None or values is None):
        return None
    if not is_unheard(session, *(() if row is None else (type(row),))):
        return None
    given = {key: None if isinstance(v, Null) else v for key, v in made.job.items() if v is not None}
    job = {"uuid": uuid4(), "max_retries": 0, **given}
    return _New(jobs_connection(session), owner.type_name, job, known, values or {}, finds)


class _New(NamedTuple):
    """The values of a job that is about to be inserted.

    Attributes:
        connection: of the transaction.
        type_name: the name of its type.
        job: the values of the shared row, by attribute.
        known: the family, if there is one.
        family: the values of its row, by column.
        finds: whether a job that has the unique key is returned instead.
    """

    connection: Connection
    type_name: str
    job: dict[str, object]
    known: Plain | None
    family: dict[str, object]
    finds: bool

    def is_mine(self, job: Mapping[str, object]) -> bool:
        """Return whether a shared row is that of this job, not one that was found."""
        return not self.finds or job["uuid"] == self.job["uuid"]

    def insert(self) -> Rows | None:
        """Insert the rows, or find one, and return them; None: there is no such type, or the key is taken."""
        dialect, keys = self.connection.dialect.name, tuple(self.job)
        parameters = {f"{held.OF_JOB}{key}": value for key, value in self.job.items()}
        parameters[held.TYPE_NAME] = self.type_name
        own = {f"{held.OF_FAMILY}{key}": value for key, value in self.family.items()}
        of_job = (dialect, keys, self.finds, "unique_key" in self.job)
        asked = held.returned(keys, self.finds)
        if self.known is not None and dialect == "postgresql":
            both = held.insert_both(*of_job, self.known.table, tuple(self.family))
            row = self.connection.execute(both, {**parameters, **own}).first()
            if row is None:
                return None
            return dict(zip(asked, row, strict=False)), self._made_by_server(row[len(asked) :])
        row = self.connection.execute(held.insert_shared(*of_job), parameters).first()
        if row is None:
            return None
        job: dict[str, object] = dict(zip(asked, row, strict=True))
        if self.known is None or not self.is_mine(job):
            return job, {}
        return job, self._insert_family(self.known, own, job["id"])

    def _insert_family(self, known: Plain, own: dict[str, object], number: object) -> dict[str, object]:
        insert = held.insert_family(known.table, tuple(self.family))
        try:
            made = self.connection.execute(insert, {**own, "number": number})
        except Exception:
            # Whoever goes on after the error, and commits, must not leave a job without its family's row.
            self.connection.execute(delete(Job).where(Job.id == number))
            raise
        return self._made_by_server(made.one()) if made.returns_rows else {}

    def _made_by_server(self, values: Sequence[object]) -> dict[str, object]:
        if not values or self.known is None:
            return {}
        columns = held.made_by_server(self.known.table, self.family)
        return {column.key: value for column, value in zip(columns, values, strict=True)}
