"""Find or create the one job for a target or key that has not started, under any number of concurrent callers.

An index of the database makes a unique key unique among the jobs of its type that have not started. So one
INSERT … ON CONFLICT finds the job or creates it, and locks it in either case.
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from jobcron.database.statements import insert_into
from jobcron.database.tables import jobs_connection
from jobcron.errors import InvalidJobData
from jobcron.jobs import known_types
from jobcron.jobs.draft import Draft, key_of
from jobcron.jobs.family import target_name
from jobcron.jobs.job import Job
from jobcron.jobs.status import NOT_STARTED

_WHERE_UNIQUE = text("status IN (0, 4, 7)")
"""The condition of the index of unique keys, `NOT_STARTED`: both databases compare it with the migration's."""


def acquire(owner: Any, session: Session, target: Any, made: Draft) -> Any:
    """Return the job that has not started, or create it.

    Args:
        owner: the job class.
        session: the caller's session, flushed.
        target: what the job is about.
        made: the new job's values; the target's key is added if they have no ``unique_key``.

    Raises:
        InvalidJobData: there is neither a target nor a key.
    """
    if "unique_key" not in made.job:
        about = made.family.get(target_name(owner.context_class)) if owner.has_family else target
        if about is None:
            raise InvalidJobData(f"expected a target or unique_key for {owner.__name__}.acquire(), got neither")
        waiting = _waiting_without_key(owner, session, about)
        if waiting is not None:
            return waiting
        made.job["unique_key"] = key_of(about)
    job, is_new = _found_or_inserted(owner, session, made.job)
    return owner._with_context(session, job, made.family) if is_new else owner.get(job.id, session=session)


def _waiting_without_key(owner: Any, session: Session, about: Any) -> Any:
    """Return a job that `create` made for the target, locked; None if there is none."""
    row = session.scalars(
        owner._select()
        .where(owner._is_about(about), Job.unique_key.is_(None), Job.status.in_(NOT_STARTED))
        .order_by(Job.id)
        .limit(1)
        .with_for_update(key_share=True, of=Job)
    ).first()
    return None if row is None else owner(row)


def _found_or_inserted(owner: Any, session: Session, values: dict[str, Any]) -> tuple[Job, bool]:
    """Return the shared row with the unique key, locked, and whether it is new."""
    mark = uuid.uuid4()
    number = known_types.type_id(session, owner.type_name)
    upsert = insert_into(Job, jobs_connection(session)).values(uuid=mark, type_id=number, **values)
    upsert = upsert.on_conflict_do_update(
        index_elements=["type", "unique_key"],
        index_where=_WHERE_UNIQUE,
        set_={"unique_key": upsert.excluded.unique_key},  # changes nothing, and locks the row
    )
    job = session.scalars(upsert.returning(Job), execution_options={"populate_existing": True}).one()
    return job, job.uuid == mark
