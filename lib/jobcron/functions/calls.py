"""The job that calls a function: one type for all functions, without a table of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from jobcron.database import AnySession
from jobcron.draft import session_to_use
from jobcron.errors import NothingToDoJob
from jobcron.family import JobType
from jobcron.functions.moments import moment_of, offset_of
from jobcron.functions.registered import Function, find, registered_function
from jobcron.interfaces import JobStatus
from jobcron.outcome import DEFAULT_RETRY_SECONDS
from jobcron.redact import cut, storable
from jobcron.runnable import BaseRunnableJob

MAX_RESULT = 10_000
"""The longest text of a result that is kept."""


class FunctionJobType(JobType):
    """The types of this family."""

    CALL = 1, "Call a function"


class FunctionState(Enum):
    """The states of the connector's jobs (OCQ-03)."""

    PENDING = "pending"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_STATES = {
    JobStatus.RUNNING: FunctionState.STARTED,
    JobStatus.COMPLETED: FunctionState.DONE,
    JobStatus.FAILED: FunctionState.FAILED,
    JobStatus.CANCELLED: FunctionState.CANCELLED,
    JobStatus.EXPIRED: FunctionState.CANCELLED,
}


class FunctionJob(BaseRunnableJob):
    """Calls a registered function with arguments that its row has.

    The target, where there is one, is the function's first argument (DJF-03).
    """

    class_job_type = FunctionJobType.CALL

    target: object | None
    function: str
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}

    @property
    def called(self) -> Function:
        """The function.

        Raises:
            UnknownFunction: no code of this process has registered it.
        """
        return find(self.function)

    def run(self) -> None:
        """Call the function; what it returns is kept as text, in the same transaction (DJF-07)."""
        called = self.called
        about = () if self.job.target_type is None else (self.target,)
        first = (*((self,) if called.takes_job else ()), *((self.session,) if called.takes_session else ()))
        try:
            result = called.call(*first, *about, *self.arguments, **self.keywords)
        except NothingToDoJob as nothing:
            result = str(nothing)
        if result is not None:
            self.job.result = cut(storable(str(result)), MAX_RESULT)

    @property
    def retry_delay(self) -> timedelta:  # type: ignore[override]
        """The delay that the function's retry pattern has for this run (OCQ-04)."""
        pattern = self.called.options.retry_pattern
        runs = self.job.attempt_count - self.job.crash_count
        reached = [number for number in pattern if number <= runs]
        return timedelta(seconds=pattern[max(reached)] if reached else DEFAULT_RETRY_SECONDS)

    @classmethod
    def schedule(
        cls,
        when: datetime | timedelta | str,
        function: Callable[..., Any] | str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        content_object: Any,
        expires: datetime | timedelta | str | None,
        *,
        session: AnySession | None = None,
        **values: Any,
    ) -> FunctionJob:
        """Make a job that calls a function at a time: see `jobcron.functions.schedule_job`."""
        called = registered_function(function)
        called.check_arguments((*(() if content_object is None else (content_object,)), *args), kwargs)
        used = session_to_use(session, content_object)
        start = moment_of(used, offset_of(when))
        if expires is not None:
            limit = offset_of(expires)
            values["expires_at"] = start + limit if isinstance(limit, timedelta) else moment_of(used, limit)
        return cls.create(
            content_object,
            session=used,
            function=called.name,
            arguments=list(args),
            keywords=dict(kwargs),
            scheduled_start=start,
            **{"description": called.description, **values},
        )

    def reschedule(
        self,
        when: datetime | timedelta | str,
        function: Callable[..., Any] | str | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        content_object: Any = None,
        expires: datetime | timedelta | str | None = None,
    ) -> FunctionJob:
        """Schedule another job like this one; what is not given is copied (DJF-04).

        Args:
            when: as of `schedule_job`; an offset counts from now.
            function, args, kwargs, content_object, expires: as of `schedule_job`.
        """
        row = self.job
        if expires is None and row.expires_at is not None:
            expires = row.expires_at - row.scheduled_start
        return self.schedule(
            when,
            function or self.function,
            self.arguments if args is None else args,
            self.keywords if kwargs is None else kwargs,
            self.target if content_object is None else content_object,
            expires,
            session=self.session,
            priority=row.priority,
            max_retries=row.max_retries,
            **({} if function else {"description": row.description}),
        )

    def related_action(self) -> Any:
        """Do what `related_action` attached to the function, if it did, and return what that returns."""
        related = self.called.related
        if related is None:
            return None
        action, keywords = related
        return action(self.session, self, **keywords)

    @property
    def state(self) -> FunctionState:
        """The state, as the connector calls it; what waits, in whatever way, is pending."""
        return _STATES.get(self.job.status, FunctionState.PENDING)

    @property
    def func_name(self) -> str:
        """The dotted name of the function."""
        return self.function

    @property
    def func_string(self) -> str:
        """The call, as code shows it."""
        about = [] if self.job.target_type is None else [f"<{self.job.target_type} {self.job.target_id}>"]
        given = [
            *about,
            *map(repr, self.arguments),
            *(f"{name}={value!r}" for name, value in self.keywords.items()),
        ]
        return f"{self.function}({', '.join(given)})"

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments."""
        return tuple(self.arguments)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments."""
        return dict(self.keywords)

    @property
    def model(self) -> str | None:
        """The kind of the object that it works on, where it has one: its content object's."""
        return self.job.target_type

    @property
    def retry(self) -> int:
        """How often it was run; deaths of its process do not count."""
        return self.job.attempt_count - self.job.crash_count

    @property
    def result(self) -> str | None:
        """What the function returned, as text."""
        return self.job.result

    @property
    def exc_info(self) -> str | None:
        """The traceback of the last error."""
        return self.job.log

    @property
    def eta(self) -> datetime:
        """Not before this time."""
        return self.job.scheduled_start

    @property
    def user(self) -> str | None:
        """Who asked for it."""
        return self.job.requester

    @property
    def worker(self) -> str | None:
        """The process that has it, or had it last: ``host:number``."""
        return self.job.claimed_by

    def getOperationDescription(self) -> str:
        """Return the description of the job."""
        return self.job.description or self.function

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Return what a report shows of the call."""
        shown = [*super().getOopsVars(), ("function", self.function)]
        return [*shown, ("arguments", self.arguments), ("keywords", self.keywords)]
