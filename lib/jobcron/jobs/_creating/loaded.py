"""Make objects of a session of rows that were inserted and returned, as a query would."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import inspect
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import InstanceState, Mapper, Session, make_transient_to_detached
from sqlalchemy.orm.attributes import instance_state, set_committed_value

from jobcron.database.sessions import adopt
from jobcron.jobs._creating.held import JOB_COLUMNS
from jobcron.jobs._creating.plain import Plain
from jobcron.jobs.arguments.document import Document, copied
from jobcron.jobs.job import Job

_MAPPER: Mapper[Job] = inspect(Job)

_CHANGE_IN_PLACE: dict[str, type[MutableDict[str, object]]] = {"json_data": Document, "steps": MutableDict}
"""Attributes whose values note their changes, and the classes of the values."""

_NOTHING = dict.fromkeys(JOB_COLUMNS)


def as_job(session: Session, values: Mapping[str, object]) -> Job:
    """Return the object of a shared row.

    Args:
        session: its session.
        values: the values of the row that are not NULL, by attribute.
    """
    job = _MAPPER.class_manager.new_instance()
    state: InstanceState[Job] = instance_state(job)
    loaded = state.dict
    loaded.update(_NOTHING)
    loaded.update(values)
    for key, kind in _CHANGE_IN_PLACE.items():
        value = kind.coerce(key, copied(loaded[key]))  # the caller may change what was given
        if value is not None:
            loaded[key] = value
            value._parents[state] = key
    state.key = _MAPPER.identity_key_from_primary_key((values["id"],))
    _adopt(session, job)
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
    make_transient_to_detached(row)
    _adopt(session, row)


def _adopt(session: Session, row: object) -> None:
    key = instance_state(row).key
    assert key is not None
    stale = session.identity_map.get(key)
    if stale is not None:  # of a transaction that was rolled back: SQLite then gives its number again
        session.expunge(stale)
    adopt(session, [row])
