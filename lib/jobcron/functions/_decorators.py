"""``@job``, ``@related_action`` and ``@job_as_parameter``, in any order (OCQ-01, OCQ-06, DJF-04)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Concatenate, Generic, Protocol, TypeVar, cast, overload

from sqlalchemy.orm import Session

from jobcron.errors import InvalidJobData
from jobcron.functions._delay import RESERVED, DelayableFunction, P, Q, R
from jobcron.functions._options import Wait, options_of
from jobcron.functions.registered import JOB_PARAMETER, RELATED_ACTION, check_function, plain, register

J = TypeVar("J")

Decorated = TypeVar("Decorated")


class TakesJob(Generic[P, Q, R]):
    """A function whose first argument is the job; for type checkers only: at run time it is the plain function."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function with a job, or with an object that stands in for one."""
        raise NotImplementedError


class Anything:
    """A stand-in type: it matches first parameters that are unannotated or of type Any, which are no sessions."""


class JobDecorator(Protocol):
    """The overloads of `job`, and of the decorator that `job` returns if it is given options."""

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, call: TakesJob[P, Q, R], /
    ) -> DelayableFunction[P, Q, R]: ...

    @overload
    def __call__(self, call: Callable[Concatenate[Anything, ...], R], /) -> DelayableFunction[..., ..., R]: ...

    @overload
    def __call__(
        self, call: Callable[Concatenate[Session, Q], R], /
    ) -> DelayableFunction[Concatenate[Session, Q], Q, R]: ...

    @overload
    def __call__(self, call: Callable[Q, R], /) -> DelayableFunction[Q, Q, R]: ...

    @overload
    def __call__(
        self,
        *,
        priority: int = ...,
        max_retries: int = ...,
        retry_pattern: Mapping[int, Wait] = ...,
        description: str | None = ...,
        database_only: bool = ...,
        group_commit: bool = ...,
        channel: str | None = ...,
        default_channel: str | None = ...,
        name: str | None = ...,
    ) -> JobDecorator: ...


def _as_decorator(function: object) -> JobDecorator:
    """Return the function itself, typed as a `JobDecorator`."""
    return cast("JobDecorator", function)


@_as_decorator
def job(call: Callable[..., object] | None = None, /, *, name: str | None = None, **options: object) -> object:
    """Make a function delayable (OCQ-01): a decorator, used with options or without parentheses.

    Args:
        call: the function.
        name: the function's name in rows, without white space; by default its dotted name.
        options: the attributes of `Options`; the connector's ``default_channel`` is accepted for ``channel``.

    Raises:
        InvalidJobData: an option is unknown or wrong; or the function has no name, has a parameter with a name
            that `delay` reserves, or cannot be called by a job.
    """

    def decorate(function: Callable[..., object]) -> object:
        function = plain(function)
        check_function(function)
        own = function.__qualname__
        first = 1 if getattr(function, JOB_PARAMETER, False) else 0  # any object: a function
        parameters = list(inspect.signature(function).parameters)
        taken = [n for place, n in enumerate(parameters) if n in RESERVED and (n != "session" or place > first)]
        if taken:
            raise InvalidJobData(
                f"expected the parameters of {own} not to have the names of delay's own parameters, "
                f"{', '.join(RESERVED)}; got {', '.join(taken)}"
            )
        return DelayableFunction(register(function, name, options_of(own, options)))

    return decorate if call is None else decorate(call)


def related_action(action: Callable[..., object], **keywords: object) -> Callable[[Decorated], Decorated]:
    """Attach an action that shows what a function's job is about, such as a record or a URL (OCQ-06).

    Args:
        action: a callable, called with the session, the job and `keywords`.
        keywords: keyword arguments for `action`.
    """

    def decorate(function: Decorated) -> Decorated:
        setattr(plain(function), RELATED_ACTION, (action, keywords))
        return function

    return decorate


# The order matters to mypy: it cannot remove a parameter from a class's, so this belongs below @job.
@overload
def job_as_parameter(  # type: ignore[overload-overlap]
    call: DelayableFunction[P, Q, R],
) -> DelayableFunction[P, ..., R]: ...


@overload
def job_as_parameter(call: Callable[Concatenate[J, Q], R]) -> TakesJob[Concatenate[J, Q], Q, R]: ...


def job_as_parameter(call: object) -> object:
    """Pass the running job to a function as its first argument (DJF-04)."""
    setattr(plain(call), JOB_PARAMETER, True)
    return call
