"""The functions that rows may name: only those that code or configuration registered (SECURITY.md)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from jobcron.errors import InvalidJobData, UnknownFunction
from jobcron.functions._options import ONCE, Options
from jobcron.jobs.arguments import encoding, json_data
from jobcron.settings.finished import laziness
from jobcron.settings.suggestions import suggestion

JOB_PARAMETER = "__jobcron_job_as_parameter__"

RELATED_ACTION = "__jobcron_related_action__"

MAX_LEVELS = json_data.MAX_LEVELS - 2
"""The limit for one argument: a row stores all of them in a list, or an object, of its data."""

_UNKNOWN = (
    "it has to be decorated with @job, given to jobcron.functions.register, in a module that the application "
    "imports, or named by the key functions of a section"
)


@dataclass(frozen=True)
class Function:
    """A function that jobs may call.

    Attributes:
        name: the function's name in rows; by default its dotted name.
        call: the plain function.
        options: the options of the function's jobs.
    """

    name: str
    call: Callable[..., Any]
    options: Options = ONCE

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's parameters."""
        return inspect.signature(self.call)

    @property
    def takes_job(self) -> bool:
        """Whether the function gets the running job as its first argument (DJF-04)."""
        return bool(getattr(self.call, JOB_PARAMETER, False))  # any object: a function

    @property
    def takes_session(self) -> bool:
        """Whether the first parameter, not counting the job, is called session: it receives the job's session."""
        names = list(self.signature.parameters)[int(self.takes_job) :]
        return names[:1] == ["session"]

    @property
    def related(self) -> tuple[Callable[..., Any], dict[str, object]] | None:
        """The callable and keyword arguments that `related_action` attached."""
        found: tuple[Callable[..., Any], dict[str, object]] | None
        found = getattr(self.call, RELATED_ACTION, None)  # any object: a function
        return found

    @property
    def description(self) -> str:
        """The default description of the function's jobs (OCQ-02)."""
        if self.options.description:
            return self.options.description
        lines = (inspect.getdoc(self.call) or "").strip().splitlines()
        return lines[0] if lines else f"Function {self.call.__name__}"

    def bound(self, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> dict[str, object]:
        """Return the arguments by parameter name, without the job and the session.

        Raises:
            TypeError: the arguments do not fit.
        """
        first = (None,) * (self.takes_job + self.takes_session)
        bound = self.signature.bind(*first, *arguments, **keywords).arguments
        return dict(list(bound.items())[len(first) :])

    def check_call(
        self, arguments: tuple[object, ...], keywords: Mapping[str, object], about: object = None
    ) -> None:
        """Check that a job can call the function with these arguments.

        Args:
            arguments: the positional arguments.
            keywords: the keyword arguments.
            about: the job's target, which is the first argument, or None; the row stores it separately.

        Raises:
            InvalidJobData: they do not fit; the message names the function, the parameter and the problem.
        """
        _check_name(self.name)
        leading = () if about is None else (about,)
        try:
            bound = self.bound((*leading, *arguments), keywords)
        except TypeError as error:
            problem = str(error).removeprefix("got ")  # Python's words: got an unexpected …, missing …
            unknown = self._unknown_in(keywords, told=problem)
            raise InvalidJobData(f"expected arguments that fit {self.name}, got: {problem}{unknown}") from error
        for name, value in list(bound.items())[len(leading) :]:
            what = f"{name} of {self.name}"
            json_data.check(encoding.encode(value, what, MAX_LEVELS), what)

    def _unknown_in(self, keywords: Mapping[str, object], told: str) -> str:
        """Return the end of a message, naming an unknown argument: Python complains of a missing one first."""
        parameters = [*self.signature.parameters.values()][self.takes_job + self.takes_session :]
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return ""
        names = [parameter.name for parameter in parameters]
        unknown = [name for name in keywords if name not in names and repr(name) not in told]
        return f"; it has no argument {unknown[0]}{suggestion(unknown[0], names)}" if unknown else ""


_functions: dict[str, Function] = {}


def register(call: Callable[..., object], name: str | None = None, options: Options | None = None) -> Function:
    """Register a function that jobs may call.

    Args:
        call: the function; a lambda or a nested function needs a `name`.
        name: the function's name in rows, without white space; by default its dotted name.
        options: the options of the function's jobs. None: those of an earlier registration, or else each job runs
            once.

    Raises:
        InvalidJobData: a job cannot call the function, it has no name, or another function has that name.
    """
    call = plain(call)
    check_function(call)
    name = name or f"{call.__module__}.{call.__qualname__}"
    if not re.fullmatch(r"[^\s\0<>]{1,200}", name):
        raise InvalidJobData(
            f"expected a function that can be found by its name, got {name!r}: give it one, of at most 200 "
            "characters without white space, with name="
        )
    known = _functions.get(name)
    if known is not None and _place(known.call) != _place(call):
        raise InvalidJobData(f"expected one function with the name {name}, got two")
    if options is None:
        options = known.options if known else ONCE
    found = Function(name, call, options)
    _functions[name] = found
    return found


Call = TypeVar("Call")


def plain(call: Call) -> Call | Callable[..., Any]:
    """Return the plain function of a delayable one."""
    known = getattr(call, "function", None)  # any object: a function, or what stands for one
    return known.call if isinstance(known, Function) else call


def check_function(call: object) -> None:
    """Check that a job can call this object.

    Raises:
        InvalidJobData: a job cannot call it.
    """
    if not callable(call) or not hasattr(call, "__qualname__"):
        raise InvalidJobData(f"expected a function, got {json_data.shown(call)}")
    name = f"{call.__module__}.{call.__qualname__}"
    if laziness(call):
        raise InvalidJobData(
            f"expected a function that does its work when it is called, got {name}, which is async or a "
            "generator: call it in a plain function, by asyncio.run for instance"
        )
    parent = call.__qualname__.rpartition(".")[0]
    first = next(iter(inspect.signature(call).parameters), None) if inspect.isfunction(call) else None
    if parent and not parent.endswith("<locals>") and first in ("self", "cls"):
        raise InvalidJobData(
            f"expected a function, got the method {name}: no row can hold the object that it is called on; write "
            "a function that gets the object as an argument"
        )


def _place(call: Callable[..., object]) -> tuple[str, str]:
    return call.__module__, call.__qualname__


def _check_name(name: str) -> None:
    """Refuse a function of ``__main__``: that is another module in the process that runs the job."""
    if name.startswith("__main__."):
        raise InvalidJobData(
            f"expected a function that the process of a runner can find, got {name}: move it into a module that "
            "the application imports"
        )


def registered_function(function: Callable[..., object] | str) -> Function:
    """Return a registered function, given its name or the function itself.

    Raises:
        InvalidJobData: `function` is neither a name nor a function, or cannot be registered.
        UnknownFunction: the function is not registered.
    """
    if isinstance(function, str):
        return function_named(function)
    known = getattr(function, "function", None)  # any object: a function, or what stands for one
    if isinstance(known, Function):
        return known
    check_function(function)
    name = f"{function.__module__}.{function.__qualname__}"
    _check_name(name)
    if "<" in name or function.__module__ == "builtins":
        raise InvalidJobData(f"expected a function of a module, that can be found by its name, got {name}")
    same = [found for found in _functions.values() if _place(found.call) == _place(function)]
    return same[0] if same else function_named(name)


def function_names() -> list[str]:
    """Return the names of the functions that are registered in this process."""
    return list(_functions)


def function_named(name: str) -> Function:
    """Return the registered function with this name, without importing anything.

    Raises:
        UnknownFunction: no function of this name is registered in this process.
    """
    try:
        return _functions[name]
    except KeyError:
        raise UnknownFunction(f"expected a registered function {name}, found none: {_UNKNOWN}") from None
