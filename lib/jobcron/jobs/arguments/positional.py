"""Refuse values without a name where a job is created, with the names that they may have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments.declared import TARGET, Argument, Declaring, written
from jobcron.jobs.arguments.json_data import cut_repr

Method = TypeVar("Method", bound=Callable[..., object])


def one_without_name(method: Method) -> Method:
    """Make a class method that takes one value without a name refuse more of them by `InvalidJobData`.

    Type checkers see the method itself.
    """

    @wraps(method)
    def checked(owner: type[Declaring], *given: object, **named: object) -> object:
        if len(given) > 1:
            raise too_many(owner, method.__name__, given)
        return method(owner, *given, **named)

    return cast("Method", checked)


def too_many(owner: type[Declaring], method: str, given: tuple[object, ...]) -> InvalidJobData:
    """Return the error for several values without names.

    Args:
        owner: the job class.
        method: the name of its method that got them.
        given: the values.
    """
    declared = owner.declared()
    first = "jobs" if method == "createMultiple" else TARGET + _annotation(declared.hints, TARGET)
    arguments = sorted(declared.arguments.values(), key=lambda argument: not argument.is_required)
    family = sorted(owner.family_names() - declared.arguments.keys())
    named = [*(_parameter(argument, declared.hints) for argument in arguments), *family]
    signature = ", ".join([first, "*", *named, "session=None", "**values"])
    more = ", ".join(map(cut_repr, given[1:]))
    return InvalidJobData(
        f"expected all values but the first to have names, as in {owner.__name__}.{method}({signature}), "
        f"got after the first, without names: {more}"
    )


def _parameter(argument: Argument, hints: dict[str, object]) -> str:
    annotation = _annotation(hints, argument.name)
    if argument.is_required:
        return argument.name + annotation
    return f"{argument.name}{annotation}{' = ' if annotation else '='}{cut_repr(argument.default)}"


def _annotation(hints: dict[str, object], name: str) -> str:
    return f": {written(hints[name])}" if name in hints else ""
