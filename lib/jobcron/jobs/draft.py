"""Draft the rows of a new job, and check them before anything is written (LP-08)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Engine, inspect, null
from sqlalchemy.orm import Session, object_session

from jobcron.database.sessions import AnySession, session_for
from jobcron.database.transactions import begin_writing
from jobcron.errors import IncompleteJobType, InvalidJobData
from jobcron.jobs._job_class import JobClass, needs_of
from jobcron.jobs._target import mark_of
from jobcron.jobs.arguments import encoding, json_data
from jobcron.jobs.arguments.declared import TARGET, Declared, check_annotation, in_family
from jobcron.jobs.arguments.exact import in_jsonb_order
from jobcron.jobs.arguments.row_values import check_row_values
from jobcron.jobs.family import target_name
from jobcron.jobs.job import Job
from jobcron.jobs.registry import untyped
from jobcron.settings.named import dotted_name
from jobcron.settings.sqlalchemy_url import describe_url
from jobcron.settings.suggestions import suggestion

JOB_VALUES = frozenset(
    {
        "scheduled_start",
        "expires_at",
        "priority",
        "max_retries",
        "requester",
        "description",
        "unique_key",
        "queue_name",
        "json_data",
        "channel",
        "channel_key",
    }
)
"""Values of `create` and `acquire` for the shared row; any other name is an argument or a family's column."""

NOT_ARGUMENTS = frozenset({"context", "loaded", "attempt", "debounce", "at_most"})
"""Names that no argument of a class can have, besides those of its methods."""

CHANNEL_VALUES = frozenset({"channel", "channel_key"})
"""Those that came later: a class that has an argument of that name means this one."""


class Draft(NamedTuple):
    """The values of a job that does not exist yet.

    Attributes:
        job: the values of the shared row.
        family: the values of the family's row.
    """

    job: dict[str, object]
    family: dict[str, object]


def session_to_use(session: AnySession | None, target: object) -> Session:
    """Return the session in which to create a job about `target`: the given, the target's, or the ambient one.

    Raises:
        InvalidJobData: the target is in another session, in none, or in another database.
        NoSession: no session was found.
    """
    if target is None:
        return session_for(session)
    state = inspect(target, raiseerr=False)
    if state is None or not hasattr(state, "identity"):  # any object: what inspection finds
        raise InvalidJobData(
            f"expected a mapped object as the job's target, got {json_data.shown(target)}; arguments are given by "
            "their names"
        )
    own = object_session(target)
    used = session_for(session, own)
    if own is None:
        raise InvalidJobData(
            f"expected the target {json_data.cut_repr(target)} to be in a session, it is in none: add it to "
            "yours, or load it there"
        )
    if own is not used:
        raise InvalidJobData(
            f"expected the target {json_data.cut_repr(target)} to be in the session in which its job is made, "
            "it is in another one: load it in this one, or leave out session="
        )
    mine, theirs = used.get_bind(Job.__mapper__).engine, used.get_bind(state.mapper).engine
    if mine is not theirs and mine.url != theirs.url:
        raise InvalidJobData(
            f"expected the target {json_data.cut_repr(target)} to be in the database of the jobs, "
            f"{describe_url(mine.url)}, it is in {describe_url(theirs.url)}"
        )
    return used


def session_to_write(session: AnySession | None, target: object) -> Session:
    """Return the session in which a job about `target` is made, ready to write: what waits there is flushed.

    Raises:
        InvalidJobData, NoSession: see `session_to_use`.
        OperationalError, SchemaMismatch: see `begin_writing`.
    """
    used = session_to_use(session, target)
    begin_writing(used)
    used.flush()  # the target, or an argument, may be new
    return used


@contextmanager
def left_idle(session: Session) -> Iterator[None]:
    """End the transaction that the block begins if it refuses what it was given, and leave other sessions alone.

    Such a transaction would hold a connection, and SQLite's only lock, until the caller ends it, who has not
    begun it.

    Args:
        session: the caller's. If it has a transaction, or changes to be written, nothing is undone; nor if it
            works in a connection of the caller's, whose transaction would end with it.
    """
    is_idle = not (session.in_transaction() or session.new or session.dirty or session.deleted)
    is_idle = is_idle and isinstance(session.get_bind(Job.__mapper__), Engine)
    try:
        yield
    except (InvalidJobData, IncompleteJobType):
        if is_idle:
            session.rollback()
        raise


def draft(owner: type[JobClass], target: object, values: dict[str, object]) -> Draft:
    """Return the rows' values for a new job.

    Args:
        owner: its class.
        target: its target, or None.
        values: the values given to `create`.

    Raises:
        InvalidJobData: a value is unknown, missing, or does not fit.
        IncompleteJobType: the class has no job type.
    """
    made = draft_without_target(owner, target, values)
    if target is not None:
        note_target(owner, target, made.job)
    return made


def draft_without_target(owner: type[JobClass], target: object, values: dict[str, object]) -> Draft:
    """Return the rows' values as `draft` does, without what `note_target` adds."""
    if owner.class_job_type is None:
        raise untyped(owner.__name__)
    data = values.pop("metadata", values.pop("json_data", None))
    declared: Declared = owner.declared()
    own = CHANNEL_VALUES & (declared.arguments.keys() | owner.family_names())
    given = {name: values.pop(name) for name in (values.keys() & JOB_VALUES) - own}
    # None means "not given", except for max_retries, where it means no limit.
    given = {name: value for name, value in given.items() if value is not None or name == "max_retries"}
    job = {**owner.job_defaults, **given}
    check_row_values(owner.__name__, job)
    if job.get("max_retries", 0) is None:
        job["max_retries"] = null()  # no limit, not the column's default
    family = _family_values(owner, target, values, declared)
    check_target(owner, target, declared)
    data = {**({} if data is None else _as_dict(owner, data)), **_arguments(owner, declared, values, family)}
    json_data.check_document(data, f"metadata of {owner.__name__}", owner.max_data_bytes, owner.max_data_levels)
    job["json_data"] = data
    about = {target_name(owner.context_class)} if owner.has_family else set()
    if needs := needs_of(owner, [*values, *(family.keys() - about)]):
        job["needs"] = needs
    return Draft(job, family)


def note_target(owner: type[JobClass], target: object, job: dict[str, object]) -> None:
    """Write what a job is about into its row; a family has it in its own table."""
    reference = encoding.reference_to(target, "the target")
    kind, key = dotted_name(reference.mapped), _key_in(reference)
    # Whether the job has a channel or not: it may be that of its section, which only the claim knows.
    job.setdefault("channel_key", f"{kind} {key}")
    if owner.has_family:
        return
    job["target_type"], job["target_id"] = kind, key
    if (mark := mark_of(owner, target)) is not None:
        job["target_mark"] = mark


def _as_dict(owner: type[JobClass], data: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise InvalidJobData(f"expected metadata of {owner.__name__} to be a dict, got {json_data.shown(data)}")
    return data


def _family_values(
    owner: type[JobClass], target: object, values: dict[str, object], declared: Declared
) -> dict[str, object]:
    """Take the family's values out of `values`, and refuse unknown names."""
    unknown = values.keys() - owner.family_names() - declared.arguments.keys()
    if unknown:
        names = {
            "the shared row": JOB_VALUES,
            "the family": owner.family_names(),
            "the class's arguments": declared.arguments,
        }
        expected = "; ".join(f"of {where}: {', '.join(sorted(known))}" for where, known in names.items() if known)
        meant = suggestion(min(unknown), [name for known in names.values() for name in known])
        raise InvalidJobData(
            f"expected names that {owner.__name__} knows ({expected}), got {', '.join(sorted(unknown))}{meant}"
        )
    family = {name: values.pop(name) for name in owner.family_names() & values.keys()}
    if target is not None and owner.has_family:
        family[target_name(owner.context_class)] = target
    return family


def check_target(owner: type[JobClass], target: object, declared: Declared) -> None:
    if target is None:
        if not declared.target_is_optional and not owner.has_family:
            raise InvalidJobData(f"expected a target for {owner.__name__}, got none")
        return
    if declared.target is not None:
        check_annotation(owner, TARGET, declared.hints[TARGET], target)
    elif not owner.has_family:
        raise InvalidJobData(
            f"expected {owner.__name__} to say what its jobs are about, by an annotation such as "
            f"target: {type(target).__name__}, or to get no target; got {json_data.cut_repr(target)}"
        )


def _arguments(
    owner: type[JobClass], declared: Declared, values: dict[str, object], family: dict[str, object]
) -> dict[str, object]:
    """Check the arguments, wherever they are stored, and return those for the job's data, encoded."""
    data: dict[str, object] = {}
    for name in in_jsonb_order(declared.arguments):  # which then has not to be noted
        argument = declared.arguments[name]
        given = family if in_family(owner, name) else values
        if name in given:
            argument.check(owner, given[name])
        elif argument.is_required and not _is_given_as_key(owner, name, family):
            raise InvalidJobData(f"expected {name} for {owner.__name__}, got none")
        if name in values:
            data[name] = encoding.encode(values[name], f"{name} of {owner.__name__}", owner.max_data_levels)
    return data


def _is_given_as_key(owner: type[JobClass], name: str, family: dict[str, object]) -> bool:
    """Return whether a relationship is given by its foreign key instead."""
    if not in_family(owner, name):
        return False
    attribute = inspect(owner.context_class).attrs[name]
    local = getattr(attribute, "local_columns", ())  # any object: a mapped attribute of any kind
    columns = {inspect(owner.context_class).get_property_by_column(c).key for c in local}
    return bool(columns) and columns <= family.keys()


def type_of(target: object) -> str:
    """Return the name of an object's class: the first class of its hierarchy of mapped classes.

    Raises:
        InvalidJobData: it is not in the database.
    """
    return dotted_name(encoding.reference_to(target, "the target").mapped)


def key_for(owner: type[JobClass], target: object, mark: object = None) -> str:
    """Return the unique key of a class's job about an object: its primary key, after its class if it can be any.

    What tells it from later objects with its number is part of it: see `mark_of`.

    Raises:
        InvalidJobData: it is not in the database, or its key is too long.
    """
    key = key_of(target)
    if not owner.has_family and owner.declared().target is object:
        key = f"{type_of(target)} {key}"
    key = key if mark is None else f"{key} {mark}"
    check_row_values(owner.__name__, {"unique_key": key})
    return key


def key_of(target: object) -> str:
    """Return the text of an object's primary key.

    Raises:
        InvalidJobData: it is not in the database.
    """
    return _key_in(encoding.reference_to(target, "the target"))


def _key_in(reference: encoding.Reference) -> str:
    parts = [encoding.encode(part, "the target's key") for part in reference.key]
    return json.dumps(parts[0] if len(parts) == 1 else parts)
