"""Create many jobs at once, in few statements (LP-34)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from uuid import uuid4

from sqlalchemy import insert, inspect
from sqlalchemy.orm import RelationshipProperty, Session
from sqlalchemy.sql.elements import Null

from jobcron.database.sessions import AnySession, session_for
from jobcron.database.statements import insert_into
from jobcron.database.tables import jobs_connection
from jobcron.errors import InvalidJobData
from jobcron.jobs._creating.offered import offer_drafts
from jobcron.jobs._job_class import JobClass
from jobcron.jobs.draft import Draft, draft, left_idle, session_to_use, session_to_write
from jobcron.jobs.inserting import pass_over_taken, raise_duplicate, type_number
from jobcron.jobs.job import Job
from jobcron.jobs.moves.twins import end_expired_holders


def drafts_of(
    owner: type[JobClass], jobs: Iterable[object], session: AnySession | None, common: dict[str, object]
) -> tuple[Session, list[Draft]]:
    """Return the session in which jobs are created, and drafts of their rows; only flush the session.

    Args:
        owner: their class.
        jobs: for each job its target, or a dict of arguments for `create`.
        session: the caller's session; None: as for `create`.
        common: values for all of them.

    Raises:
        InvalidJobData: one of them does not fit; the message says which.
        NoSession: no session was found.
    """
    asked = []
    used = None if session is None else session_for(session)
    for number, job in enumerate(jobs, 1):
        values = {**common, **job} if isinstance(job, Mapping) else {**common, "target": job}
        target = values.pop("target", None)
        try:
            used = session_to_use(used, target)
        except InvalidJobData as error:
            raise _of_job(number, error) from error
        asked.append((target, values))
    used = session_to_use(used, None)
    drafts = []
    with left_idle(used):
        session_to_write(used, None)
        for number, (target, values) in enumerate(asked, 1):
            try:
                drafts.append(draft(owner, target, values))
            except InvalidJobData as error:
                raise _of_job(number, error) from error
    return used, drafts


def _of_job(number: int, error: InvalidJobData) -> InvalidJobData:
    return InvalidJobData(f"job {number}: {error}")


def insert_drafts(session: Session, owner: type[JobClass], drafts: list[Draft]) -> list[int]:
    """Insert the rows of jobs, and return their numbers in the same order.

    Raises:
        DuplicateJob: a unique key is taken. Nothing is inserted then.
    """
    if not drafts:
        return []
    number = type_number(session, owner.type_name)
    rows = [{"type_id": number, "uuid": uuid4(), **_written(made.job)} for made in drafts]
    numbers = _insert_rows(session, owner, rows)
    if owner.has_family:
        family = owner.context_class
        session.execute(
            insert(family),
            [
                {"id": job, "job_type": owner.class_job_type, **_columns(family, made.family)}
                for job, made in zip(numbers, drafts, strict=True)
            ],
        )
    offer_drafts(session, owner, drafts, numbers)
    return numbers


def _insert_rows(session: Session, owner: type[JobClass], rows: list[dict[str, object]]) -> list[int]:
    # render_nulls: None means NULL here, not the column's default. The order of the returned rows is not
    # guaranteed, and requesting one would cost SQLite a statement for each row.
    # why: decisions 2026-11-24, `createMultiple` returns numbers
    keys = [str(row["unique_key"]) for row in rows if row.get("unique_key") is not None]
    connection = jobs_connection(session)
    asked = insert_into(Job, connection)
    if keys:
        asked = pass_over_taken(asked)
    with session.begin_nested() if keys else nullcontext():
        if keys:
            end_expired_holders(connection, owner.type_name, keys)
        inserted = session.execute(
            asked.returning(Job.uuid, Job.id), rows, execution_options={"render_nulls": True}
        )
        numbers_by_uuid = {row.uuid: row.id for row in inserted}
        if len(numbers_by_uuid) < len(rows):
            twice = [key for key, times in Counter(keys).items() if times > 1]
            raise_duplicate(connection, owner.type_name, twice or keys)
    return [numbers_by_uuid[row["uuid"]] for row in rows]


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
    mapper = inspect(family)
    found: dict[str, object] = {}
    for name, value in values.items():
        attribute = mapper.attrs[name]
        if not isinstance(attribute, RelationshipProperty):
            found[name] = value
            continue
        if attribute.uselist or not attribute.local_remote_pairs:
            raise InvalidJobData(f"expected {family.__name__}.{name} to be given to create(), one by one")
        for local, remote in attribute.local_remote_pairs:
            key = attribute.mapper.get_property_by_column(remote).key
            found[mapper.get_property_by_column(local).key] = None if value is None else getattr(value, key)
    return found
