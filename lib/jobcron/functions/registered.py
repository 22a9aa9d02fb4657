"""The functions that rows may name: those that code has registered, and no others (design.md, Trust)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.orm import Session, scoped_session

from jobcron.errors import InvalidJobData, UnknownFunction

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

JOB_PARAMETER = "__jobcron_job_as_parameter__"

DEFAULT_MAX_RETRIES = 5
"""Of the connector: five runs (OCQ-02)."""


@dataclass(frozen=True)
class Options:
    """What a function's jobs have unless `delay` says otherwise.

    Attributes:
        priority: 0 first (OCQ-02).
        max_retries: how often it is run at most; 0: for ever.
        retry_pattern: seconds until the next run, by the number of runs from which on they count (OCQ-04).
        description: for people; by default the first line of the docstring.
    """

    priority: int = 10
    max_retries: int = DEFAULT_MAX_RETRIES
    retry_pattern: Mapping[int, float] = field(default_factory=dict)
    description: str | None = None


@dataclass
class Function:
    """A function that jobs may call.

    Attributes:
        name: dotted, as rows have it.
        call: the plain function.
        options: of its jobs.
        related: what `related_action` attached: a callable and its keyword arguments.
    """

    name: str
    call: Callable[..., Any]
    options: Options = field(default_factory=Options)
    related: tuple[Callable[..., Any], dict[str, Any]] | None = None

    @property
    def takes_job(self) -> bool:
        """Whether the running job is its first argument (DJF-04)."""
        return bool(getattr(self.call, JOB_PARAMETER, False))

    @property
    def takes_session(self) -> bool:
        """Whether its first parameter is called session: it gets that of its job, which no row could hold."""
        names = list(inspect.signature(self.call).parameters)
        return names[:1] == ["session"]

    @property
    def description(self) -> str:
        """What its jobs are called where nothing else is said (OCQ-02)."""
        if self.options.description:
            return self.options.description
        lines = (inspect.getdoc(self.call) or "").strip().splitlines()
        return lines[0] if lines else f"Function {self.call.__name__}"

    def check_arguments(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """Check that the function can be called so.

        Raises:
            InvalidJobData: it cannot; the message names the function and what does not fit.
        """
        given = (*((None,) if self.takes_job else ()), *((None,) if self.takes_session else ()), *arguments)
        try:
            inspect.signature(self.call).bind(*given, **keywords)
        except TypeError as error:
            raise InvalidJobData(f"expected arguments that {self.name} takes, got others: {error}") from error


_functions: dict[str, Function] = {}


def register(call: Callable[..., Any], name: str | None = None, options: Options | None = None) -> Function:
    """Let jobs call a function.

    Args:
        call: the function; a lambda, or one inside another function, has no name that a row could hold.
        name: by default its dotted name.
        options: of its jobs.

    Raises:
        InvalidJobData: it has no name of its own, or another function has it.
    """
    name = name or f"{call.__module__}.{call.__qualname__}"
    if "<" in name:
        raise InvalidJobData(
            f"expected a function that can be found by its name, got {name}: give it one with name="
        )
    known = _functions.get(name)
    if known is not None and _place(known.call) != _place(call):
        raise InvalidJobData(f"expected one function with the name {name}, got two")
    if known is not None and options is None:
        return known
    found = Function(name, call, options or Options(), known.related if known else None)
    _functions[name] = found
    return found


def _place(call: Callable[..., Any]) -> tuple[str, str]:
    return call.__module__, call.__qualname__


def registered_function(function: Callable[..., Any] | str) -> Function:
    """Return a function by its name, or register the callable that was given; one that can be delayed is known.

    Raises:
        UnknownFunction: nobody has registered the name.
    """
    if isinstance(function, str):
        return find(function)
    known = getattr(function, "function", None)
    return known if isinstance(known, Function) else register(function)


def find(name: str) -> Function:
    """Return the registered function of a name; nothing is imported for it.

    Raises:
        UnknownFunction: no code of this process has registered it.
    """
    try:
        return _functions[name]
    except KeyError:
        raise UnknownFunction(
            f"expected a registered function {name}, found none: it has to be decorated with @job, or given to "
            "jobcron.functions.register, in a module that the application imports"
        ) from None


def job_as_parameter(call: AnyFunction) -> AnyFunction:
    """Let a function get the job that calls it as its first argument (DJF-04)."""
    setattr(call, JOB_PARAMETER, True)
    return call


def without_session(function: Function, arguments: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Return the session that was given as first argument, or None, and the other arguments."""
    if function.takes_session and arguments and isinstance(arguments[0], Session | scoped_session):
        return arguments[0], arguments[1:]
    return None, arguments
