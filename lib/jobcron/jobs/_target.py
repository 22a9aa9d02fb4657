"""The target of a job: the object of the family's relationship, or one that the shared row names."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from typing import cast

from sqlalchemy import inspect, select, tuple_
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from jobcron.database.trouble import interruption_of
from jobcron.errors import InvalidJobData, MissingClass, MissingCode
from jobcron.jobs._job_class import JobClass
from jobcron.jobs.arguments import encoding
from jobcron.jobs.arguments.encoding import Reference, as_reference, encode, key_part, object_of, references
from jobcron.jobs.arguments.json_data import cut_repr
from jobcron.jobs.family import FamilyRow, target_name


class Target:
    """The attribute ``target`` of jobs: reads what the job is about."""

    def __get__(self, job: JobClass | None, owner: type[JobClass]) -> object:
        """Return what the job is about, or None.

        Raises:
            LookupError: it no longer exists.
        """
        if job is None:
            return self
        if job.has_family:
            return getattr(job.context, target_name(type(cast("FamilyRow", job.context))))
        reference = reference_of(job)
        return None if reference is None else _itself(job, object_of(reference, job.session))


def reference_of(job: JobClass) -> Reference | None:
    """Return the reference to the target in the row of a job without a family, or None.

    Raises:
        MissingClass: the row names a class that is not imported.
        InvalidJobData: the row does not have a key.
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


def mark_of(owner: type[JobClass], target: object) -> str | None:
    """Return what tells an object from others that get its number later; None if its jobs' class names nothing.

    It is read from the database: what the object shows may be rounded, or in another time zone, when it is stored.

    Args:
        owner: the class of its jobs.
        target: in a session, and flushed.

    Raises:
        InvalidJobData: the class names what the object does not have, or what has no value.
    """
    names = owner.target_identity
    if not names:
        return None
    state = inspect(target)
    unknown = [name for name in names if name not in state.mapper.column_attrs]
    if unknown:
        known = ", ".join(sorted(state.mapper.column_attrs.keys()))
        raise InvalidJobData(
            f"expected the attributes in target_identity of {owner.__name__} to be columns of "
            f"{type(target).__name__}, which are {known}; got {', '.join(unknown)}"
        )
    keys = [column == part for column, part in zip(state.mapper.primary_key, state.identity, strict=True)]
    values = state.session.execute(
        select(*(state.mapper.column_attrs[name].class_attribute for name in names)).where(*keys)
    ).one()
    if None in values:
        raise InvalidJobData(f"expected a value in each of {', '.join(names)} of {cut_repr(target)}, got {values}")
    return _mark(names, values)


def _mark(names: tuple[str, ...], values: Iterable[object]) -> str:
    text = json.dumps([encode(value, name) for name, value in zip(names, values, strict=True)])
    return f"{' '.join(names)} {blake2b(text.encode(), digest_size=16).hexdigest()}"


def check_names(job: JobClass) -> None:
    """Check that this code has what a job's target and its arguments name; nothing is loaded for it.

    Raises:
        MissingCode: it lacks a class, or an item of an enum, or jobs of the class have no target.
    """
    # why: decisions 2026-11-30, what data names is code as well
    declared, found = job.declared(), cast("object", job._document)
    data = found if isinstance(found, dict) else {}  # somebody may have written anything by hand
    if not job.has_family and job.job.target_id is not None:
        if declared.target is None:
            what = f"the target of {job.type_name}"
            raise MissingCode(
                what, f"expected {type(job).__name__} to have {what}, with which the job was created"
            )
        try:
            reference_of(job)
        except MissingClass:
            raise
        except InvalidJobData:
            pass  # the job fails when it uses the target
    for name in declared.arguments:
        if name in data:
            encoding.check_names(dict.__getitem__(data, name))


def check_target(job: JobClass) -> None:
    """Check that the target of a job is still the object that the job was created about, as it was loaded.

    It sends nothing: before ``run`` no transaction is to begin. `Target` checks what the job's transaction sees.

    Raises:
        LookupError: another object has its number.
    """
    if not job.has_family and job.job.target_mark is not None:  # first what needs no row: it may not be loaded yet
        with suppress(InvalidJobData):  # the job fails when it uses the target
            reference = reference_of(job)
            if reference is not None:
                identity = inspect(reference.mapped).identity_key_from_primary_key(reference.key)
                found = job.session.identity_map.get(identity)
                if found is not None:
                    _itself(job, found)


def _itself(job: JobClass, found: object) -> object:
    """Return the object with the number of a job's target, if it is that target.

    Raises:
        LookupError: it is another one.
    """
    names, mark = job.target_identity, job.job.target_mark
    # A mark of other attributes, of another release, cannot be compared.
    if mark is None or not names or mark.rpartition(" ")[0] != " ".join(names):
        return found
    if mark != _mark(names, (getattr(found, name) for name in names)):
        raise LookupError(
            f"expected {job.job.target_type} {job.job.target_id} to be the one that {job!r} was created about: "
            f"that one is gone, and another one has its number ({', '.join(names)})"
        )
    return found


def load_referred(session: Session, jobs: Iterable[JobClass]) -> None:
    """Load the mapped objects that jobs' rows refer to, so that no transaction is open when the jobs start.

    An object that no longer exists, or whose class is not imported, raises an error when the job uses it.
    """
    wanted: defaultdict[type[object], dict[tuple[object, ...], list[JobClass]]] = defaultdict(dict)
    for job in jobs:
        for reference in _references_of(job):
            wanted[reference.mapped].setdefault(reference.key, []).append(job)
    for mapped, keys in wanted.items():
        try:
            # A key of the wrong type would abort the whole transaction. A savepoint of the session's would flush.
            with session.connection().begin_nested():
                found = list(_found(session, mapped, list(keys)))
        except StatementError as error:
            if interruption_of(error) is not None:
                raise
            continue  # a key does not fit this class: only the job that has it fails, when it uses the object
        for one in found:
            for job in keys.get(tuple(inspect(one).identity), ()):
                job.loaded.append(one)  # the session holds loaded objects only weakly


def _references_of(job: JobClass) -> list[Reference]:
    try:
        own = None if job.has_family else reference_of(job)
        data = job.job.json_data
        # Only declared arguments are ever decoded; other data may have any form.
        arguments = [dict.__getitem__(data, name) for name in job.declared().arguments if name in data]
        return [*([own] if own else []), *references(arguments)]
    except (InvalidJobData, RecursionError):  # only this job fails, when it uses the value
        return []


def _found(session: Session, mapped: type[object], keys: list[tuple[object, ...]]) -> Iterable[object]:
    columns = inspect(mapped).primary_key
    condition = columns[0].in_([key[0] for key in keys]) if len(columns) == 1 else tuple_(*columns).in_(keys)
    again = {"populate_existing": session.autoflush}  # else it would undo changes that are not written yet
    return session.scalars(select(mapped).where(condition), execution_options=again).unique()
