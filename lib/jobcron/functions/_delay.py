"""``.delay``: create jobs as the OpenERP connector does (OCQ-01, OCQ-02, OCQ-09)."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, ParamSpec, TypeVar, overload

from sqlalchemy.orm import Session, scoped_session

from jobcron.database.sessions import AnySession, session_for
from jobcron.errors import InvalidJobData
from jobcron.functions._options import stored_retries
from jobcron.functions._times import KINDS, moment_of
from jobcron.functions.calls import FunctionJob
from jobcron.functions.registered import Function
from jobcron.jobs.arguments.encoding import encode
from jobcron.jobs.arguments.json_data import is_text, shown
from jobcron.jobs.arguments.row_values import MAX_KEY_BYTES
from jobcron.jobs.draft import Draft, session_to_write
from jobcron.jobs.graphs.creating import PlannedRow
from jobcron.jobs.graphs.elements import Planned
from jobcron.settings.durations import Duration, seconds_of

P = ParamSpec("P")
"""The parameters of a function."""

Q = ParamSpec("Q")
"""Those that its jobs store: neither the running job, nor a first session."""

R = TypeVar("R")

Identity = str | Callable[["Function", tuple[Any, ...], Mapping[str, Any]], str]
"""An identity key, or a callable that makes one from function, positional and keyword arguments."""

RESERVED = ("priority", "eta", "max_retries", "description", "identity_key", "requester", "session")
"""Keyword arguments of `delay` itself: no function may have a parameter with such a name, except a first
``session``."""

ALSO = ("channel", "channel_key")
"""Further keyword arguments of `delay`, unless the function has a parameter with the same name: that one then gets
the value, and the job's is set by `DelayableFunction.options`."""


class DelayableFunction(Generic[P, Q, R]):
    """A function that can be called now, or later by a job.

    Args:
        function: the registered function.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        functools.update_wrapper(self, function.call)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function now."""
        result: R = self.function.call(*args, **kwargs)
        return result

    @overload
    def delay(self, *args: Q.args, **kwargs: Q.kwargs) -> str: ...

    @overload
    def delay(self, session: AnySession, /, *args: Q.args, **kwargs: Q.kwargs) -> str: ...

    def delay(self, *args: Any, **kwargs: Any) -> str:  # type: ignore[misc]
        """Create a job that calls the function, in the caller's transaction, and return the job's UUID.

        The caller's session may be given before the function's own arguments. The keyword arguments in `RESERVED`
        and `ALSO` are options of the job; in code that a type checker reads, pass them to `options` instead.

        Raises:
            InvalidJobData: the arguments do not fit the function, or cannot be stored; the message says which.
            NoSession: no session was found.
        """
        given: dict[str, Any] = {name: kwargs.pop(name) for name in RESERVED if name in kwargs}
        for name in ALSO:
            if name in kwargs and name not in self.function.signature.parameters:
                given[name] = kwargs.pop(name)
        return self.options(**given).delay(*args, **kwargs)

    def planned(self, *args: Q.args, **kwargs: Q.kwargs) -> Planned:
        """Return a planned job, for a graph: see `jobcron.chain`. Use `options` to set its priority and the like.

        Raises:
            InvalidJobData: the arguments do not fit the function, or cannot be stored.
        """
        return self.options().planned(*args, **kwargs)

    def unique_key(self, identity_key: str) -> str:
        """Return an identity key as rows of this function store it, to find its job by `Job.unique_key`."""
        return stored_key(self.function, identity_key, (), {})

    def options(
        self,
        *,
        priority: int | None = None,
        eta: datetime | Duration | None = None,
        max_retries: int | None = None,
        description: str | None = None,
        identity_key: Identity | None = None,
        requester: str | None = None,
        session: AnySession | None = None,
        debounce: Duration | None = None,
        at_most: Duration | None = None,
        channel: str | None = None,
        channel_key: str | None = None,
    ) -> Delayed[Q]:
        """Return a `Delayed` that creates a job with these values.

        Args:
            priority: the lowest runs first; by default the function's.
            eta: the earliest start: a time, or a timedelta or number of seconds from now.
            max_retries: how often the job may run, the first run included; 0: no limit.
            description: what the job is about, for people.
            identity_key: if a job of the function with an equal key has not started yet, that job is used instead.
            requester: who asks for the job.
            session: the caller's session; by default the ambient one.
            debounce: with an identity key: each call puts the job's start off until this long after the call.
            at_most: how long after its creation ``debounce`` may put the job's start off; None: no limit.
            channel: the channel in which the job runs; by default the function's.
            channel_key: the key under which the channel's ``per_key`` counts the job, such as a customer's number.
        """
        if debounce is not None and identity_key is None:
            raise InvalidJobData(f"expected debounce of {self.function.name} with an identity_key, got none")
        if eta is not None and not isinstance(eta, datetime):
            seconds_of("eta", eta, kinds=KINDS)
        values = self.function.options.row_values()
        values["description"] = description or self.function.description
        values["requester"] = requester
        if priority is not None:
            values["priority"] = priority
        if max_retries is not None:
            values["max_retries"] = stored_retries(max_retries)
        places = {"channel": channel, "channel_key": channel_key}
        values |= {name: place for name, place in places.items() if place is not None}
        return Delayed(self.function, values, eta, identity_key, session, debounce, at_most)


@dataclass(frozen=True)
class Delayed(Generic[Q]):
    """A function with values for its job: see `DelayableFunction.options`.

    Attributes:
        values: the values of the job's row.
    """

    function: Function
    values: dict[str, object]
    eta: datetime | Duration | None
    identity_key: Identity | None
    session: AnySession | None
    debounce: Duration | None = None
    at_most: Duration | None = None

    @overload
    def delay(self, *args: Q.args, **kwargs: Q.kwargs) -> str: ...

    @overload
    def delay(self, session: AnySession, /, *args: Q.args, **kwargs: Q.kwargs) -> str: ...

    def delay(self, *args: Any, **kwargs: Any) -> str:  # type: ignore[misc]
        """Create the job, and return its UUID: see `DelayableFunction.delay`."""
        first = None
        if args and isinstance(args[0], Session | scoped_session):  # a row cannot store it
            first, *args = args  # type: ignore[assignment]
        arguments = tuple(args)
        asked = session_for(self.session, first)
        self.function.check_call(arguments, kwargs)  # before a transaction begins
        session = session_to_write(asked, None)
        called = {"function": self.function.name, "arguments": list(arguments), "keywords": dict(kwargs)}
        values = {**called, **self.values}
        if self.eta is not None:
            values["scheduled_start"] = moment_of(session, self.eta)
        if self.identity_key is None:
            return str(FunctionJob.create(session=session, **values).uuid)
        key = stored_key(self.function, self.identity_key, arguments, kwargs)
        values |= {"debounce": self.debounce, "at_most": self.at_most}
        return str(FunctionJob.acquire(session=session, unique_key=key, **values).uuid)

    def planned(self, *args: Q.args, **kwargs: Q.kwargs) -> Planned:
        """Return a planned job: see `DelayableFunction.planned`.

        If it has an identity key, `create` raises `DuplicateJob` when another job with that key has not started.

        Raises:
            InvalidJobData: the arguments do not fit the function or cannot be stored, or ``debounce`` was given.
        """
        if self.debounce is not None:
            raise InvalidJobData(f"expected no debounce of a planned job of {self.function.name}, got one")
        self.function.check_call(args, kwargs)
        key = None if self.identity_key is None else stored_key(self.function, self.identity_key, args, kwargs)
        called = {"function": self.function.name, "arguments": list(args), "keywords": dict(kwargs)}
        return Planned(PlannedCall({**called, **self.values, "unique_key": key}, self.session, self.eta))


class PlannedCall(PlannedRow):
    """A planned call of a function; a relative ``eta`` counts from when its job is created.

    Args:
        values: as for `FunctionJob.create`.
        session: the session in which the job is to be created, or None.
        eta: see `DelayableFunction.options`.
    """

    def __init__(
        self, values: dict[str, Any], session: AnySession | None, eta: datetime | Duration | None
    ) -> None:
        super().__init__(FunctionJob, (), values, session)
        self._eta = eta

    def __str__(self) -> str:
        return str(self.values["function"])

    def draft(self, session: Session) -> Draft:
        """Return the values of the job's rows."""
        made = super().draft(session)
        if self._eta is not None:
            made.job["scheduled_start"] = moment_of(session, self._eta)
        return made


def stored_key(
    function: Function, identity: Identity, arguments: tuple[object, ...], keywords: Mapping[str, object]
) -> str:
    """Return an identity key as rows store it: prefixed with the function's name, and hashed if it is long.

    Raises:
        InvalidJobData: the key is not text or is empty, or the callable that makes it does not take the arguments.
    """
    key = identity
    if callable(key):
        try:
            inspect.signature(key).bind(function, arguments, keywords)
        except TypeError as error:
            raise InvalidJobData(
                f"expected identity_key of {function.name} to take the function, a tuple of its arguments and a "
                f"dict of its keyword arguments, got another signature ({error}): there is no job yet"
            ) from error
        key = key(function, arguments, keywords)
    if not is_text(key) or not key:
        raise InvalidJobData(f"expected identity_key of {function.name} to be text, not empty, got {shown(key)}")
    stored = f"{function.name}:{key}"  # why: decisions 2026-11-25, identity keys have the function's name
    if len(stored.encode()) <= MAX_KEY_BYTES:
        return stored
    return f"{function.name}:sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def identity_exact(function: Function, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> str:
    """Return an identity key that is the same for equal calls of one function (OCQ-09)."""
    call = [function.name, encode(list(arguments), "arguments"), encode(dict(keywords), "keywords")]
    return hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()
