"""Refuse job classes with methods that would do nothing when called, or with values that make no sense."""

from __future__ import annotations

import inspect
from inspect import getattr_static
from types import FunctionType

from jobcron.errors import IncompleteJobType, InvalidJobData
from jobcron.jobs.arguments.row_values import check_row_values
from jobcron.settings.durations import factor_of, seconds_of
from jobcron.settings.finished import GENERATOR, laziness

_CALLED = (
    "run",
    "afterFailure",
    "notifyOops",
    "notifyUserError",
    "getOperationDescription",
    "related_action",
    "contextManager",
    "create",
    "acquire",
    "createMultiple",
    "get",
    "load",
)
"""Methods that would do nothing if they were ``async def`` or had a ``yield``."""

_ITERATED = ("iterReady", "about", "getOopsVars", "getOopsRecipients", "getErrorRecipients")
"""Methods that may have a ``yield``."""


_DURATIONS = {"lease_duration": False, "time_limit": False, "retry_delay": True, "retry_delay_limit": True}
"""Durations of a class, and whether each may be 0."""

_MAY_BE_NONE = ("time_limit", "retry_delay_limit")


_ALONE = {
    "memory_limit": "a process is not limited for one job of a group",
    "channel": "what runs in a channel is counted, and a group has many jobs at once",
    "slow_lane_of": "its jobs are those that take long",
    "tasks": "jobs of several tasks commit after each",
}
"""What a class whose jobs share a transaction cannot have, and why."""


def check_class(owner: type[object]) -> None:
    """Check what a class of jobs has.

    Raises:
        IncompleteJobType: see the other functions.
        InvalidDuration: see `check_durations`.
    """
    check_methods(owner)
    check_run(owner)
    check_error_types(owner)
    check_durations(owner)
    check_group(owner)


def taken_defaults(owner: type[object]) -> dict[str, object]:
    """Return the values of rows that a class itself sets, such as ``max_retries = 5``; take them off the class.

    So an instance shows its row's value.

    Raises:
        IncompleteJobType: no row can have one of them.
    """
    found = {name: vars(owner)[name] for name in ("max_retries", "priority") if name in vars(owner)}
    if isinstance(channel := vars(owner).get("channel"), str):  # else a family's column, perhaps
        found["channel"] = channel
    own = {name: value for name, value in found.items() if not inspect.isdatadescriptor(value)}
    try:
        check_row_values(f"{owner.__module__}.{owner.__qualname__}", own)
    except InvalidJobData as error:
        raise IncompleteJobType(str(error)) from None
    for name in own:
        delattr(owner, name)
    return own


def check_run(owner: type[object]) -> None:
    """Check that a class's own ``run`` can be called as the runner calls it.

    Raises:
        IncompleteJobType: it wants arguments.
    """
    run = vars(owner).get("run")
    if not isinstance(run, FunctionType):
        return
    _, *parameters = inspect.signature(run).parameters.values() or [None]
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [p.name for p in parameters if p and p.default is inspect.Parameter.empty and p.kind not in kinds]
    if wanted:
        raise IncompleteJobType(
            f"expected run of {owner.__module__}.{owner.__qualname__} to take nothing but self, it wants "
            f"{', '.join(wanted)}; what a job is given is declared in its class, as in `copies: int = 1`"
        )


def check_error_types(owner: type[object]) -> None:
    """Check the kinds of errors that a class itself names.

    Raises:
        IncompleteJobType: one of them is no class of exceptions.
    """
    for name in ("user_error_types", "retry_error_types"):
        value = vars(owner).get(name, ())
        if inspect.isdatadescriptor(value):
            continue
        for kind in value if isinstance(value, tuple | list) else (value,):
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise IncompleteJobType(
                    f"expected {name} of {owner.__module__}.{owner.__qualname__} to be classes of exceptions, "
                    f"got {kind!r}"
                )


def check_durations(owner: type[object]) -> None:
    """Check the durations, factors and limits that a class itself sets; those of properties are checked when used.

    Raises:
        InvalidDuration: a duration or a factor makes no sense; the message names it.
        IncompleteJobType: its limit of memory does not.
    """
    own = vars(owner)
    where = f"{owner.__module__}.{owner.__qualname__}"
    for name, allows_zero in _DURATIONS.items():
        value = own.get(name)
        is_none = value is None and (name not in own or name in _MAY_BE_NONE)
        if not is_none and not inspect.isdatadescriptor(value):
            seconds_of(f"{name} of {where}", value, allows_zero=allows_zero)
    for name in ("retry_backoff", "retry_jitter"):
        if name in own and not inspect.isdatadescriptor(own[name]):
            factor_of(f"{name} of {where}", own[name])
    limit = own.get("memory_limit")
    is_number = isinstance(limit, int) and not isinstance(limit, bool) and limit > 0
    if not (limit is None or is_number or inspect.isdatadescriptor(limit)):
        raise IncompleteJobType(f"expected memory_limit of {where} to be bytes, or None, got {limit!r}")


def check_group(owner: type[object]) -> None:
    """Check that jobs whose class says ``group_commit`` can share a transaction.

    Raises:
        IncompleteJobType: they cannot; the message says why.
    """
    value = getattr_static(owner, "group_commit", False)
    if inspect.isdatadescriptor(value):
        return  # `jobcron.functions`: each function says it
    where = f"{owner.__module__}.{owner.__qualname__}"
    if not isinstance(value, bool):
        raise IncompleteJobType(f"expected group_commit of {where} to be True or False, got {value!r}")
    if not value:
        return
    if getattr_static(owner, "database_only", False) is not True:
        raise IncompleteJobType(
            f"expected {where}, which has group_commit, to have database_only = True as well: when one job of a "
            "group fails, the others are rolled back and run again"
        )
    inherited: dict[str, object] = getattr_static(owner, "job_defaults", {})  # taken off the base classes
    for name, why in _ALONE.items():
        if name in inherited or getattr_static(owner, name, None) is not None:
            raise IncompleteJobType(f"expected {where}, which has group_commit, to have no {name}: {why}")
    first = next((base for base in owner.__mro__ if "iterReady" in vars(base)), owner)
    if first.__module__ != "jobcron.jobs.source":
        raise IncompleteJobType(
            f"expected {where}, which has group_commit, to have no iterReady of its own: jobs of a group are "
            "claimed by their type"
        )


def check_methods(owner: type[object]) -> None:
    """Check that no method of a job class is a coroutine or a generator, which would do nothing when it is called.

    Raises:
        IncompleteJobType: one of them does not; the message names it.
    """
    for name in (*_CALLED, *_ITERATED):
        method = inspect.getattr_static(owner, name, None)
        lazy = laziness(getattr(method, "__func__", method))  # any object: a classmethod, or a function
        if lazy and not (name in _ITERATED and lazy == GENERATOR):
            raise IncompleteJobType(
                f"expected {name} of {owner.__module__}.{owner.__qualname__} to do its work when it is called, "
                f"got {lazy}"
            )


def public_methods(of: type[object]) -> frozenset[str]:
    """Return the names of a class's public methods, inherited ones included; nothing is evaluated."""
    kinds = (FunctionType, classmethod)
    return frozenset(name for name in dir(of) if name[0] != "_" and isinstance(getattr_static(of, name), kinds))
