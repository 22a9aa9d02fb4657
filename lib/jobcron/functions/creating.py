"""Create a job of any class or function from JSON, with the same checks as `create` and `delay`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Integer, Numeric, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, class_mapper

from jobcron.database.trouble import first_line, refused_right, sqlstate_of, trouble_of
from jobcron.errors import InvalidJobData, UnknownFunction, UnknownJobType
from jobcron.functions.calls import FunctionJob
from jobcron.functions.registered import function_named, function_names
from jobcron.jobs.arguments.encoding import Reference, as_reference, decode
from jobcron.jobs.arguments.json_data import check
from jobcron.jobs.family import target_name
from jobcron.jobs.hand_moves import operator_name
from jobcron.jobs.moves.undoing import write_act
from jobcron.jobs.registry import registered
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.reports.plurals import counted
from jobcron.settings.named import dotted_name
from jobcron.settings.suggestions import suggestion

UNDEFINED_TABLE = "42P01"
"""PostgreSQL's SQLSTATE for a table that is not there."""


def create_job(
    session: Session, name: str, arguments: Mapping[str, object], *, target: str | None = None, **values: object
) -> int:
    """Create a job in the session's transaction, and return its number.

    Args:
        session: the session; it is not committed.
        name: a job type such as ``foo_job.ACT``, the dotted name of its class, or a registered function.
        arguments: the arguments by name, as the job's row has them: values that JSON lacks are encoded.
        target: the primary key of the job's target, as JSON or text; ``CLASS:KEY`` if the job class does not say
            which class its targets have.
        values: values of the row, such as ``priority``.

    Raises:
        UnknownJobType: neither a class nor a function of this application has the name.
        InvalidJobData: an argument, the target or a value does not fit.
    """
    try:
        decoded = {key: decode(value, session) for key, value in arguments.items()}
        job_class = _class_named(name)
        if job_class is None:
            if target is not None:
                raise InvalidJobData(f"expected no target for the function {name}, got {target!r}")
            start = values.pop("scheduled_start", None)
            when = start if isinstance(start, datetime) else timedelta()
            job = FunctionJob.schedule(when, name, [], decoded, None, None, session=session, **values)
            return job.id
        if target is None:
            _check_needs_none(job_class)
        about = None if target is None else decode({"$object": _reference(job_class, target)}, session)
        return job_class.create(about, session=session, **decoded, **values).id
    except LookupError as error:
        raise InvalidJobData(str(error)) from error


def create_by_hand(
    session: Session,
    name: str,
    arguments: Mapping[str, object],
    *,
    actor: str | None = None,
    target: str | None = None,
    **values: object,
) -> int:
    """Create a job as `create_job` does, record in the acts who created it, and return its number.

    Args:
        session: the session; it is not committed.
        name, arguments, target, values: as for `create_job`.
        actor: who creates the job; by default the user of this process.

    Raises:
        UnknownJobType, InvalidJobData: as for `create_job`.
        DuplicateJob: another job with its unique key has not started yet.
    """
    number = create_job(session, name, arguments, target=target, **values)
    write_act(session.connection(), f"create job {number}: {name}", actor or operator_name(), None)
    return number


def refusal_of(error: DBAPIError) -> str | None:
    """Return in words why the database refuses a new job's row; None if the row is not to blame.

    An application's table may have constraints and column types that only the database checks. The row is not to
    blame if the database has trouble, or the role lacks a right.
    """
    if trouble_of(error) is not None or refused_right(error) is not None:
        return None
    text = first_line(error.orig)
    is_missing = "no such table" in text or sqlstate_of(error.orig) == UNDEFINED_TABLE
    hint = "; create it as you create the application's other tables, after `jobcron upgrade`"
    return f"{text}{hint if is_missing else ''}"


def type_of_job(name: str) -> str:
    """Return the job type of the jobs that `create_job` creates for a name.

    Raises:
        UnknownJobType: see `create_job`.
    """
    return (_class_named(name) or FunctionJob).type_name


def check_arguments(name: str, arguments: Mapping[str, object]) -> None:
    """Check that `create_job` could create a job with this name and these arguments; write nothing.

    Raises:
        UnknownJobType, InvalidJobData: see `create_job`.
    """
    job_class = _class_named(name)
    if job_class is None:
        function_named(name).check_call((), arguments)
    else:
        job_class._draft(None, dict(arguments))


def _class_named(name: str) -> type[BaseRunnableJob] | None:
    """Return a class by its job type or its dotted name; None if the name is that of a registered function."""
    classes = registered()
    for type_name, job_class in classes.items():
        if name in (type_name, dotted_name(job_class)) and issubclass(job_class, BaseRunnableJob):
            return job_class
    try:
        function_named(name)
    except UnknownFunction:
        known = ", ".join(sorted(classes)) or "none"
        names = [*classes, *map(dotted_name, classes.values()), *function_names()]
        meant = suggestion(name, names)
        raise UnknownJobType(
            f"expected a job type, a job class or a registered function, got: {name}; the types are: {known}"
            f"{meant or _how_to_register(name)}"
        ) from None
    return None


def _how_to_register(name: str) -> str:
    """Return the end of a message that says what makes a dotted name known; empty for other names."""
    module = name.rpartition(".")[0]
    told = f"; the application does not register {name}: it has to import {module}"
    return f"{told}, where that has to be a job class or @job" if module else ""


def _check_needs_none(job_class: type[BaseRunnableJob]) -> None:
    """Check that jobs of a class with a family table may have no target.

    Raises:
        InvalidJobData: they need one: the column of the target cannot be empty.
    """
    is_own = getattr(job_class.create, "__func__", None) is not getattr(BaseRunnableJob.create, "__func__", None)
    if is_own or not job_class.has_family:
        return  # it may find a target itself; or what it declares is checked when its job is made
    target = inspect(job_class.context_class).relationships[target_name(job_class.context_class)]
    if not all(column.nullable for column in target.local_columns):
        name = dotted_name(target.mapper.class_)
        raise InvalidJobData(f"expected a target, the primary key of a {name}: {dotted_name(job_class)} needs one")


def _reference(job_class: type[BaseRunnableJob], target: str) -> list[object]:
    """Return the encoded reference to a target: the name of its class, and its primary key."""
    if job_class.has_family:
        relationships = inspect(job_class.context_class).relationships
        mapped: object = relationships[target_name(job_class.context_class)].mapper.class_
    else:
        mapped = job_class.declared().target
    key = target
    name = "" if mapped is None else dotted_name(mapped)
    if mapped is object:
        name, _, key = target.partition(":")
    if not name or not key:
        raise InvalidJobData(f"expected a target that {dotted_name(job_class)} can be about, got {target!r}")
    try:
        parts = json.loads(key)
    except (ValueError, RecursionError):
        parts = key
    found: list[object] = [name, parts if isinstance(parts, list) else [parts]]
    _check_key(as_reference(found))
    return found


def _check_key(reference: Reference) -> None:
    """Check that a key has the form of its class's primary keys: a database may refuse to compare another one.

    Raises:
        InvalidJobData: it has another number of parts, or a part that should be an integer is not.
    """
    columns = class_mapper(reference.mapped).primary_key
    wanted = f"expected the key of {dotted_name(reference.mapped)} to be "
    got = ", ".join(repr(part) for part in reference.key)
    if len(columns) != len(reference.key):
        names = ", ".join(column.name for column in columns)
        raise InvalidJobData(f"{wanted}{counted(len(columns), 'value')}, as JSON: [{names}]; got {got}")
    for column, part in zip(columns, reference.key, strict=True):
        if isinstance(part, str | int | float):
            check(part, f"the key of {dotted_name(reference.mapped)}")
        if isinstance(column.type, Integer) and type(part) is not int:
            raise InvalidJobData(f"{wanted}an integer, got {part!r}")
        if isinstance(part, int) and abs(part) >= 1 << 63 and not isinstance(column.type, Numeric):
            raise InvalidJobData(f"{wanted}an integer that a row can have, got {part!r}")
