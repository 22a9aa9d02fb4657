"""Make objects of a session of rows that were inserted and returned, as a query would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import inspect
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from jobcron.jobs._creating.held import JOB_KEYS
from jobcron.jobs._creating.plain import Plain
from jobcron.jobs.job import Job

_CHANGES_IN_PLACE = ("json_data", "steps")
"""Attributes whose values note their changes, which they do once they are set in the usual way."""

NUMBER, UUID, EXPIRES_AT = map(JOB_KEYS.index, ("id", "uuid", "expires_at"))
"""The places of values among those of a shared row."""


def as_job(session: Session, values: Sequence[object]) -> Job:
    """Return the object of a shared row.

    Args:
        session: its session.
        values: all its values, as `held` returns them.
    """
    loaded = dict(zip(JOB_KEYS, values, strict=True))
    job = Job(**{key: loaded.pop(key) for key in _CHANGES_IN_PLACE if loaded[key] is not None})
    vars(job).update(loaded)
    _persist(session, job)
    return job


def persist_family(session: Session, row: object, known: Plain, values: Mapping[str, object], job: Job) -> None:
    """Make a new object of a family the one of its row.

    Args:
        session: its session.
        row: the object, which is in no session.
        known: its family.
        values: the values of the row that are not NULL, by the keys of the columns. Where None was given
            to the object, the row may have a default.
        job: the shared row.
    """
    own = vars(row)
    for key, column in zip(known.attributes, known.table.columns, strict=True):
        if key is not None:
            own[key] = job.id if column.primary_key else values.get(column.key)
    set_committed_value(row, "job", job)
    _persist(session, row)


def _persist(session: Session, row: object) -> None:
    make_transient_to_detached(row)
    key = inspect(row).key
    assert key is not None
    stale = session.identity_map.get(key)
    if stale is not None:  # of a transaction that was rolled back: SQLite then gives its number again
        session.expunge(stale)
    session.add(row)
