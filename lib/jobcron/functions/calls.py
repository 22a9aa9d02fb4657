"""The job that calls a function: one job type for all functions, without a family table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from jobcron.database.sessions import AnySession, session_for
from jobcron.database.stored_text import held
from jobcron.errors import InvalidJobData, MissingCode, NothingToDoJob, UnknownFunction
from jobcron.functions._connector_names import ConnectorNames
from jobcron.functions._times import later, moment_of, offset_of
from jobcron.functions.registered import Function, function_named, function_names, registered_function
from jobcron.jobs.arguments.json_data import is_text, shown
from jobcron.jobs.draft import session_to_write
from jobcron.jobs.family import JobType
from jobcron.jobs.job import Job
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.settings.durations import Duration
from jobcron.settings.finished import finished
from jobcron.settings.secrets import cut

MAX_RESULT = 10_000
"""The longest result that is kept, in characters of text."""


class Same:
    """The default of the arguments of `FunctionJob.reschedule`: copy this job's value."""


SAME: Final = Same()


# why: decisions 2026-11-24, one job type for all functions
class FunctionJobType(JobType):
    """The job types of this family."""

    CALL = 1, "Call a function"


class FunctionJob(ConnectorNames, BaseRunnableJob):  # type: ignore[misc]  # max_retries counts runs here
    """A job that calls a registered function with the arguments in the job's row.

    The job's target, if it has one, is the function's first argument (DJF-03).
    """

    class_job_type = FunctionJobType.CALL
    own_arguments = frozenset({"function", "arguments", "keywords"})

    target: object | None
    function: str
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}

    @property
    def called(self) -> Function:
        """The function that the job calls.

        Raises:
            UnknownFunction: the function is not registered in this process.
        """
        return function_named(str(self.function))

    def check_code(self) -> None:
        """Check that the row's function is registered, and that it takes the row's arguments.

        Raises:
            MissingCode: it is not registered, or does not take them.
        """
        super().check_code()
        data = self.metadata  # undecoded: nothing is loaded for it
        name, arguments, keywords = (data.get(key) for key in ("function", "arguments", "keywords"))
        if not (isinstance(name, str) and isinstance(arguments, list) and isinstance(keywords, dict)):
            return  # `run` says what is wrong
        about = () if self.job.target_type is None else (None,)
        try:
            function_named(name).bound((*about, *arguments), keywords)
        except UnknownFunction as error:
            raise MissingCode(f"the function {name}", str(error)) from error
        except TypeError as error:
            message = f"expected {name} to take the arguments with which the job was created, it does not: {error}"
            raise MissingCode(f"the arguments of {name} ({error})", message) from error

    def run(self) -> None:
        """Call the function, and store its result as text in the same transaction (DJF-07).

        Raises:
            InvalidJobData: the row's arguments do not have the form in which `delay` writes them.
            IncompleteJobType: the function returned something that still has to be run, such as a coroutine.
        """
        called = self.called
        about = () if self.job.target_type is None else (self.target,)
        first = (*((self,) if called.takes_job else ()), *((self.session,) if called.takes_session else ()))
        arguments, keywords = self.args, self.kwargs
        try:
            result = called.call(*first, *about, *arguments, **keywords)
        except NothingToDoJob as nothing:
            result = str(nothing)
        finished(result, called.name)
        if result is not None:
            self.job.result = cut(held(self.session.connection(), str(result)), MAX_RESULT)

    @property
    def retry_delay(self) -> Duration:  # type: ignore[override]
        """The delay before the next retry, from the function's retry pattern (OCQ-04)."""
        wait = self.called.options.wait(self.retry)
        return BaseRunnableJob.retry_delay if wait is None else wait

    @property
    def database_only(self) -> bool:  # type: ignore[override]
        """Whether the function declares that it has no side effects outside its job's database."""
        with suppress(UnknownFunction):
            return function_named(str(self._document.get("function"))).options.database_only
        return False

    @property
    def group_commit(self) -> bool:  # type: ignore[override]
        """Whether the function's jobs may share a transaction with others."""
        with suppress(UnknownFunction):
            return function_named(str(self._document.get("function"))).options.group_commit
        return False

    @classmethod
    def commits_in_groups(cls) -> bool:
        """Return whether any function's jobs may share a transaction."""
        return any(function_named(name).options.group_commit for name in function_names())

    @classmethod
    def get(cls, job_id: int | UUID | str, *, session: AnySession | None = None) -> Self:
        """Return a job by its number, or by the UUID that `delay` returned, for which there is no index.

        Raises:
            LookupError: there is no such job.
        """
        if isinstance(job_id, int):
            return super().get(job_id, session=session)
        try:
            uuid = job_id if isinstance(job_id, UUID) else UUID(job_id)
        except (ValueError, AttributeError, TypeError):
            raise LookupError(f"expected the number or the uuid of a job, got {shown(job_id)}") from None
        # why: decisions 2026-11-25, found by its uuid without an index
        row = session_for(session).scalars(cls._select().where(Job.uuid == uuid)).one_or_none()
        if row is None:
            raise LookupError(f"expected a job {cls.type_name} with the uuid {uuid}, found none")
        return cls(row)

    @classmethod
    def schedule(
        cls,
        when: datetime | Duration | str,
        function: Callable[..., object] | str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        content_object: object,
        expires: datetime | Duration | str | None,
        *,
        session: AnySession | None = None,
        **values: object,
    ) -> FunctionJob:
        """Schedule a job that calls a function at a given time: see `jobcron.functions.schedule_job`."""
        called = registered_function(function)  # why: decisions 2026-11-25, no function that is not registered
        if not isinstance(args, list | tuple):
            raise InvalidJobData(f"expected args of {called.name} to be a list or a tuple, got {shown(args)}")
        if not isinstance(kwargs, Mapping) or not all(map(is_text, kwargs)):
            raise InvalidJobData(f"expected kwargs of {called.name} to be a dict of names, got {shown(kwargs)}")
        called.check_call(tuple(args), kwargs, about=content_object)
        offset, limit = offset_of("when", when), None if expires is None else offset_of("expires", expires)
        used = session_to_write(session, content_object)  # its transaction begins: what is refused, is before
        start = moment_of(used, offset)
        if limit is not None:
            values["expires_at"] = later(start, limit) if isinstance(limit, timedelta) else moment_of(used, limit)
        return cls.create(
            content_object,
            session=used,
            function=called.name,
            arguments=list(args),
            keywords=dict(kwargs),
            scheduled_start=start,
            **{"description": called.description, **called.options.row_values(), **values},
        )

    def reschedule(
        self,
        when: datetime | Duration | str,
        function: Callable[..., object] | str | None = None,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        content_object: object = None,
        expires: datetime | Duration | str | Same | None = SAME,
    ) -> FunctionJob:
        """Schedule another job like this one; arguments that are not given are copied from this job (DJF-04).

        Args:
            when: as for `schedule_job`; an offset counts from now.
            function, args, kwargs, content_object: as for `schedule_job`.
            expires: as for `schedule_job`; None: the new job never expires.
        """
        row = self.job
        if isinstance(expires, Same):
            asked = row.asked_start or row.scheduled_start  # a retry moves the start, not what was asked for
            expires = None if row.expires_at is None else max(row.expires_at - asked, timedelta(0))
        values: dict[str, object] = {"priority": row.priority, "requester": row.requester}
        if function is None:  # another function has its own description and number of runs
            values |= {"max_retries": row.max_retries, "description": row.description}
        return self.schedule(
            when,
            self.function if function is None else function,
            self.args if args is None else args,
            self.kwargs if kwargs is None else kwargs,
            self.target if content_object is None else content_object,
            expires,
            session=self.session,
            **values,
        )

    def related_action(self) -> Any:
        """Call the function's related action, if it has one, and return its result."""
        related = self.called.related
        if related is None:
            return None
        action, keywords = related
        return action(self.session, self, **keywords)

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments of the call.

        Raises:
            InvalidJobData: the row does not store them as a list.
        """
        found: object = self.arguments
        if not isinstance(found, list):
            raise InvalidJobData(f"expected arguments of job {self.job.id} to be a list, got {shown(found)}")
        return tuple(found)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments of the call.

        Raises:
            InvalidJobData: the row does not store them as an object.
        """
        found: object = self.keywords
        if not isinstance(found, dict) or not all(map(is_text, found)):
            raise InvalidJobData(f"expected keywords of job {self.job.id} to be an object, got {shown(found)}")
        return dict(found)

    def getOperationDescription(self) -> str:
        """Return the description of the job."""
        return self.job.description or self.function

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Return variables for an OOPS report, with the arguments by parameter name, which may mark a secret."""
        data = self._document  # undecoded: objects that it refers to may be gone
        function, arguments, keywords = (data.get(name) for name in ("function", "arguments", "keywords"))
        about = () if self.job.target_type is None else (None,)
        try:
            if not isinstance(arguments, list) or not isinstance(keywords, dict):
                raise TypeError("the row has no arguments, or not in the form that delay writes")
            named = self.called.bound((*about, *arguments), keywords)
        except (UnknownFunction, TypeError) as error:
            return [
                *super().getOopsVars(),
                ("function", function),
                ("arguments", f"cannot be shown by name: {error}"),
            ]
        named = dict(list(named.items())[len(about) :])
        return [*super().getOopsVars(), ("function", function), ("arguments", named)]
