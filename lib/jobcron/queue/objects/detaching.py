"""Give each job of a batch separate objects, so that it can run in a separate session.

A few statements load a whole batch, in one session. Then each job takes the objects that it refers to into its
own session. Jobs that refer to the same object get a copy each: one may change it and be rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from sqlalchemy import inspect
from sqlalchemy.ext.mutable import Mutable
from sqlalchemy.orm import InstanceState, Session

from jobcron.queue.loading import Claimed, Objects


def detached(session: Session, entries: list[Claimed]) -> list[Claimed]:
    """Empty a session, and return the jobs that were loaded in it, each with separate objects.

    If a class loaded more than its jobs refer to, it is unknown which job uses it: then each job is loaded
    again in its own session.

    Args:
        session: between two transactions; nothing in it has changed.
        entries: jobs that were loaded in it, or that belong to it, or that are not loaded yet.
    """
    if any(entry.objects in (Objects.SHARED, Objects.AWAITED) for entry in entries):
        return entries
    everything = {id(row) for row in session.identity_map.values()}
    parts = [_reached(entry.job.rows()) for entry in entries]
    session.expunge_all()
    if everything - {number for part in parts for number in part}:
        return [entry._replace(objects=Objects.UNREAD) for entry in entries]
    taken: set[int] = set()
    found = []
    for entry, part in zip(entries, parts, strict=True):
        is_first = taken.isdisjoint(part)
        found.append(entry._replace(rows=tuple(part.values())) if is_first else _with_copies(entry))
        taken |= part.keys()
    return found


def refers_to(entry: Claimed, identities: set[object]) -> bool:
    """Return whether a job refers to objects of some rows, given by their identity keys in SQLAlchemy."""
    return any(inspect(row).key in identities for row in entry.rows)


def _reached(rows: Iterable[object]) -> dict[int, object]:
    """Return rows and the loaded objects that they refer to, by their ids."""
    found: dict[int, object] = {}
    for row in rows:
        if id(row) not in found:  # else what it refers to is there as well
            state: InstanceState[object] = inspect(row)
            found[id(row)] = row
            found.update((id(one), one) for one, _, _, _ in state.mapper.cascade_iterator("save-update", state))
    return found


def _with_copies(entry: Claimed) -> Claimed:
    """Return a job with copies of the objects that it refers to; send no statement to the database."""
    with Session() as scratch:
        copy = entry.job.copied(lambda row: scratch.merge(row, load=False))
        rows = tuple(scratch.identity_map.values())
        for row in rows:
            state: InstanceState[object] = inspect(row)
            for key, value in list(state.dict.items()):
                if isinstance(value, Mutable):  # shared, a change would show in both
                    state.dict[key] = own = deepcopy(value)
                    own._parents[state] = key
        scratch.expunge_all()
    return entry._replace(objects=Objects.UNREAD) if copy is None else entry._replace(job=copy, rows=rows)
