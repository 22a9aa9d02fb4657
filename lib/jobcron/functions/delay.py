"""``@job`` and ``.delay``: the connector's way (OCQ-01, OCQ-02, OCQ-06, OCQ-09)."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, TypeVar, overload

from jobcron.database import AnySession, session_for
from jobcron.errors import InvalidJobData
from jobcron.functions.calls import FunctionJob
from jobcron.functions.moments import moment_of
from jobcron.functions.registered import Function, Options, register, without_session
from jobcron.payload import encode

P = ParamSpec("P")
R = TypeVar("R")

Identity = str | Callable[["Function", tuple[Any, ...], Mapping[str, Any]], str]
"""An identity key, or what makes one of a function and its arguments."""

RESERVED = ("priority", "eta", "max_retries", "description", "identity_key", "session")
"""Keyword arguments of `delay` itself: no function may have parameters of these names, but for a first session."""


class DelayableFunction(Generic[P, R]):
    """A function that can be called, or delayed.

    Args:
        function: registered.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        functools.update_wrapper(self, function.call)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, now and here."""
        result: R = self.function.call(*args, **kwargs)
        return result

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Make a job that calls the function, in the caller's transaction, and return its uuid.

        Besides the function's own arguments it takes `RESERVED` ones, which type checkers know of by `options`.

        Raises:
            InvalidJobData: the arguments are not the function's, or cannot be stored; the message says which.
            NoSession: there is none.
        """
        given: dict[str, Any] = {name: kwargs.pop(name) for name in RESERVED if name in kwargs}
        return self.options(**given).delay(*args, **kwargs)

    def options(
        self,
        *,
        priority: int | None = None,
        eta: datetime | timedelta | float | None = None,
        max_retries: int | None = None,
        description: str | None = None,
        identity_key: Identity | None = None,
        session: AnySession | None = None,
    ) -> Delayed[P]:
        """Return what makes a job with these values.

        Args:
            priority: 0 first; by default the function's.
            eta: not before this time, or so many seconds from now.
            max_retries: how often it is run at most; 0: for ever.
            description: for people.
            identity_key: where a job with an equal key has not started yet, that one is returned.
            session: of the caller; by default the ambient one.
        """
        own = self.function.options
        chosen = replace(
            own,
            priority=own.priority if priority is None else priority,
            max_retries=own.max_retries if max_retries is None else max_retries,
            description=description or self.function.description,
        )
        return Delayed(self.function, chosen, eta, identity_key, session)


@dataclass(frozen=True)
class Delayed(Generic[P]):
    """A function and how its job is to be: see `DelayableFunction.options`."""

    function: Function
    options: Options
    eta: datetime | timedelta | float | None
    identity_key: Identity | None
    session: AnySession | None

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Make the job, and return its uuid: see `DelayableFunction.delay`."""
        given, arguments = without_session(self.function, args)
        self.function.check_arguments(arguments, kwargs)
        session = session_for(self.session, given)
        values: dict[str, Any] = {
            "function": self.function.name,
            "arguments": list(arguments),
            "keywords": dict(kwargs),
            "priority": self.options.priority,
            "max_retries": stored_retries(self.options.max_retries),
            "description": self.options.description,
        }
        if self.eta is not None:
            values["scheduled_start"] = moment_of(session, self.eta)
        if self.identity_key is None:
            return str(FunctionJob.create(session=session, **values).uuid)
        key = self.identity_key
        if callable(key):
            key = key(self.function, arguments, kwargs)
        return str(FunctionJob.acquire(session=session, unique_key=key, **values).uuid)


def stored_retries(runs: int) -> int | None:
    """Return the retries after the first run, as rows have them; 0 runs are any number (OCQ-02).

    Raises:
        InvalidJobData: it is no number of runs.
    """
    if isinstance(runs, bool) or not isinstance(runs, int) or runs < 0:
        raise InvalidJobData(f"expected max_retries to be a whole number, 0 or greater, got {runs!r}")
    return None if runs == 0 else runs - 1


@overload
def job(call: Callable[P, R], /) -> DelayableFunction[P, R]: ...


@overload
def job(
    *,
    priority: int = ...,
    max_retries: int = ...,
    retry_pattern: Mapping[int, float] = ...,
    description: str | None = ...,
    name: str | None = ...,
) -> Callable[[Callable[P, R]], DelayableFunction[P, R]]: ...


def job(call: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Let a function be delayed (OCQ-01); with options, or without parentheses.

    Args:
        call: the function.
        name: under which rows know it; by default its dotted name.
        options: `Options`.

    Raises:
        InvalidJobData: it has a parameter whose name `delay` needs, or no name of its own.
    """

    def decorate(function: Callable[..., Any]) -> DelayableFunction[..., Any]:
        parameters = list(inspect.signature(function).parameters)
        taken = [n for place, n in enumerate(parameters) if n in RESERVED and (n != "session" or place)]
        if taken:
            raise InvalidJobData(
                f"expected the parameters of {function.__qualname__} not to have the names of delay's own, "
                f"{', '.join(RESERVED)}; got {', '.join(taken)}"
            )
        return DelayableFunction(register(function, name, Options(**options)))

    return decorate if call is None else decorate(call)


def related_action(action: Callable[..., Any], **keywords: Any) -> Callable[[Any], Any]:
    """Attach what leads from a job of a function to what it is about: a record, an address (OCQ-06).

    Args:
        action: called with the session, the job and `keywords`.
        keywords: handed on.
    """

    def decorate(function: Any) -> Any:
        found = function.function if isinstance(function, DelayableFunction) else register(function)
        found.related = (action, keywords)
        return function

    return decorate


def identity_exact(function: Function, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
    """Return a key that is the same for equal calls of one function (OCQ-09)."""
    call = [function.name, encode(list(arguments), "arguments"), encode(dict(keywords), "keywords")]
    return hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()
