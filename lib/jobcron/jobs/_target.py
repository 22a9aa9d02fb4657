"""The target of a job: the object of the family's relationship, or one that the shared row names."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import inspect, select, tuple_
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from jobcron.database.trouble import interruption_of
from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments.encoding import Reference, as_reference, key_part, object_of, references
from jobcron.jobs.arguments.json_data import cut_repr
from jobcron.jobs.family import target_name


class Target:
    """The attribute ``target`` of jobs."""

    def __get__(self, job: Any, owner: type[Any]) -> Any:
        """Return what the job is about, or None.

        Raises:
            LookupError: it no longer exists.
        """
        if job is None:
            return self
        if job.has_family:
            return getattr(job.context, target_name(type(job.context)))
        reference = reference_of(job)
        return None if reference is None else object_of(reference, job.session)


def reference_of(job: Any) -> Reference | None:
    """Return the reference to the target in the row of a job without a family, or None.

    Raises:
        InvalidJobData: the row names a class that is not imported.
    """
    row = job.job
    if row.target_id is None:
        return None
    try:
        key = json.loads(row.target_id)
    except ValueError as error:
        raise InvalidJobData(f"expected target_id to be a key in JSON, got {cut_repr(row.target_id)}") from error
    parts = key if isinstance(key, list) else [key]
    declared = job.declared().target
    if declared is None or declared is object:
        return as_reference([row.target_type, parts])
    # The class that the code declares counts: it may have been renamed since the row was written.
    # why: decisions 2026-11-23, a name in a row is looked up
    return Reference(inspect(declared).base_mapper.class_, tuple(map(key_part, parts)))


def load_referred(session: Session, jobs: Iterable[Any]) -> None:
    """Load the mapped objects that jobs' rows refer to, so that no transaction is open when the jobs start.

    An object that no longer exists, or whose class is not imported, raises an error when the job uses it.
    """
    wanted: defaultdict[type[Any], dict[tuple[Any, ...], list[Any]]] = defaultdict(dict)
    for job in jobs:
        for reference in _references_of(job):
            wanted[reference.mapped].setdefault(reference.key, []).append(job)
    for mapped, keys in wanted.items():
        try:
            with session.begin_nested():  # a key of the wrong type would abort the whole transaction
                found = list(_found(session, mapped, list(keys)))
        except StatementError as error:
            if interruption_of(error) is not None:
                raise
            continue  # a key does not fit this class: only the job that has it fails, when it uses the object
        for one in found:
            for job in keys.get(tuple(inspect(one).identity), ()):
                job.loaded.append(one)  # the session holds loaded objects only weakly


def _references_of(job: Any) -> list[Reference]:
    try:
        own = None if job.has_family else reference_of(job)
        data = job.job.json_data
        # Only declared arguments are ever decoded; other data may have any form.
        arguments = [data[name] for name in job.declared().arguments if name in data]
        return [*([own] if own else []), *references(arguments)]
    except (InvalidJobData, RecursionError):  # only this job fails, when it uses the value
        return []


def _found(session: Session, mapped: type[Any], keys: list[tuple[Any, ...]]) -> Iterable[Any]:
    columns = inspect(mapped).primary_key
    condition = columns[0].in_([key[0] for key in keys]) if len(columns) == 1 else tuple_(*columns).in_(keys)
    return session.scalars(select(mapped).where(condition), execution_options={"populate_existing": True}).unique()
