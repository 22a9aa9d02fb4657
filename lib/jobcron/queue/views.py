"""Jobs and sources as the core sees them: every attribute that they may have, with its default, in one place.

A job may be a `BaseRunnableJob`, an application's object that has only the interface, or a stand-in for a job
that could not be loaded. A source may be a job class or any object with ``iterReady``. A view gives each of
them one type. User code never sees a view: it gets its own objects.

Views are lazy. An attribute is read when it is needed, so an error in a property is raised at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy.orm import Session

from jobcron.database.sessions import use_session
from jobcron.interfaces import DEFAULT_LEASE_SECONDS, IRunnableJob, RunningAttempt
from jobcron.jobs.job import Job
from jobcron.jobs.lease import lease_of
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.queue._attributes import ProcessLimits as ProcessLimits
from jobcron.queue._attributes import as_tuple, readable, told_with
from jobcron.queue._stand_ins import STAND_INS, Unloadable
from jobcron.settings.durations import factor_of, seconds_of
from jobcron.settings.finished import finished
from jobcron.settings.named import dotted_name


class View:
    """The attributes that jobs and sources have in common."""

    def __init__(self, thing: object) -> None:
        self._thing = thing

    @property
    def memory_limit(self) -> int | None:
        """Bytes that a job may use in an isolated runner, or None; a job's limit overrides its source's."""
        limit: int | None = self._get("memory_limit")
        return limit

    @property
    def database_only(self) -> bool:
        """Whether the job has no side effects outside its database."""
        return self._get("database_only") is True

    @property
    def group_commit(self) -> bool:
        """Whether the job may share a transaction with others."""
        return self._get("group_commit") is True

    def _get(self, name: str, default: Any = None) -> Any:
        return getattr(self._thing, name, default)


class RunnableView(View):
    """A job to run.

    Args:
        job: the application's object, or a stand-in.
    """

    def __init__(self, job: object) -> None:
        super().__init__(job)
        self.job = job

    @property
    def class_name(self) -> str:
        """The name of the job's class, under which the job is logged and counted."""
        return type(self.job).__name__

    @property
    def is_unloadable(self) -> bool:
        """Whether the job could not be loaded."""
        return isinstance(self.job, Unloadable)

    @property
    def row(self) -> Job | None:
        """The shared row; None if the job could not be loaded."""
        row = self._get("job")
        return row if isinstance(row, Job) else None

    def check_code(self, *, is_bare: bool = False) -> None:
        """Let the job raise `MissingCode` if this code lacks what its row names; a bare row names nothing."""
        check = self._get("check_code")
        is_usual = getattr(check, "__func__", None) is BaseRunnableJob.check_code
        if callable(check) and not (is_bare and is_usual):
            check()

    @property
    def time_limit(self) -> float | None:
        """Seconds that the job may run, or None."""
        limit = self._get("time_limit")
        return None if limit is None else seconds_of("time_limit", limit, allows_zero=False)

    @property
    def user_error_types(self) -> tuple[type[BaseException], ...]:
        """Errors that are reported to the user."""
        return as_tuple(self._get("user_error_types", ()))

    @property
    def retry_error_types(self) -> tuple[type[BaseException], ...]:
        """Errors after which the job is retried."""
        return as_tuple(self._get("retry_error_types", ()))

    @property
    def retry_delay(self) -> float:
        """Seconds before the first retry."""
        delay = self._get("retry_delay")
        return seconds_of("retry_delay", BaseRunnableJob.retry_delay if delay is None else delay)

    @property
    def retry_delay_limit(self) -> float | None:
        """The longest delay in seconds; None: no limit."""
        limit = self._get("retry_delay_limit")
        return None if limit is None else seconds_of("retry_delay_limit", limit)

    @property
    def retry_backoff(self) -> float:
        """The factor by which the delay grows with each attempt."""
        return factor_of("retry_backoff", self._get("retry_backoff", BaseRunnableJob.retry_backoff))

    @property
    def retry_jitter(self) -> float:
        """The largest part of the delay that is added to it at random."""
        return factor_of("retry_jitter", self._get("retry_jitter", BaseRunnableJob.retry_jitter))

    @property
    def tells_stopping(self) -> bool:
        """Whether the job's history records that its process was asked to stop."""
        return bool(self._get("tells_stopping", False))

    @property
    def failure_hook(self) -> Callable[[BaseException | None], object] | None:
        """The job's ``afterFailure``, or None."""
        hook = self._get("afterFailure")
        return None if hook is None else lambda error: finished(hook(error), "afterFailure")

    def process_limits(self, source: SourceView) -> ProcessLimits:
        """Return the limits of an isolated job.

        An invalid or unreadable limit counts as none here: it makes the job fail in its own process.

        Args:
            source: gives the limits that the job does not set.
        """
        return ProcessLimits(
            readable(lambda: self.time_limit),
            readable(lambda: self.memory_limit) or readable(lambda: source.memory_limit),
            readable(lambda: self._get("output_limit")) or BaseRunnableJob.output_limit,
        )

    def attach(self, attempt: RunningAttempt) -> None:
        """Give a job that inherits from our base class its current attempt."""
        if isinstance(self.job, BaseRunnableJob):
            self.job.attempt = attempt

    def run(self) -> None:
        """Run the job.

        Raises:
            IncompleteJobType: what it returned would still have to be run.
            TypeError: the job is not runnable, nor can it be adapted to `IRunnableJob`.
            BaseException: whatever the job raises.
        """
        job = self.job
        runnable = job if isinstance(job, STAND_INS) else IRunnableJob(job)
        finished(runnable.run(), f"run of {self.class_name}")

    def oops_variables(self) -> list[tuple[str, object]] | None:
        """Return what the job adds to its OOPS report, with its arguments; None if it has no such method.

        Raises:
            BaseException: whatever the job raises.
        """
        tell = self._get("getOopsVars")
        found = finished(tell(), "getOopsVars", is_iterated=True) if tell else None
        return None if found is None else told_with(found, self._get("reported_arguments"))

    def notify_user_error(self, error: BaseException | None) -> None:
        """Call the job's ``notifyUserError``, if it has one.

        Raises:
            BaseException: whatever the job raises.
        """
        if notify := self._get("notifyUserError"):
            finished(notify(error), "notifyUserError")

    def notify_oops(self, report: dict[str, object]) -> None:
        """Call the job's ``notifyOops``, if it has one.

        Raises:
            BaseException: whatever the job raises.
        """
        if notify := self._get("notifyOops"):
            finished(notify(report), "notifyOops")

    def rows(self) -> list[object]:
        """Return the mapped objects that the job holds, from which related objects are reached."""
        if isinstance(self.job, BaseRunnableJob):
            return [self.job.context, self.job.job, *self.job.loaded]
        return [] if self.row is None else [self.row]

    def copied(self, copy: Callable[[object], object]) -> RunnableView | None:
        """Return a new job around `copy` of its rows; None if it is unknown how to make one."""
        job = self.job
        if not isinstance(job, BaseRunnableJob):
            return None
        made = type(job)(copy(job.context))
        made.loaded = [copy(row) for row in job.loaded]
        return RunnableView(made)


class SourceView(View):
    """A source of jobs.

    Args:
        source: the job class, or the application's object.
    """

    def __init__(self, source: object) -> None:
        super().__init__(source)
        self.source = source

    @property
    def name(self) -> str:
        """The dotted name of the source."""
        return dotted_name(self.source)

    @property
    def type_name(self) -> str:
        """``family.TYPE`` of a job class; empty for a source that may yield jobs of several types."""
        return str(self._get("type_name", ""))

    @property
    def is_source(self) -> bool:
        """Whether the source has ``iterReady``."""
        return callable(self._get("iterReady"))

    @property
    def has_run(self) -> bool:
        """Whether the source has ``run``, as a job class has."""
        return callable(self._get("run"))

    @property
    def finds_ready_jobs_itself(self) -> bool:
        """Whether the source's ``iterReady`` is custom, so that its jobs cannot be claimed by type."""
        return bool(self._get("finds_ready_jobs_itself", True))

    @property
    def commits_in_groups(self) -> bool:
        """Whether any of the source's jobs may share a transaction with others."""
        tell = self._get("commits_in_groups")
        return not self.finds_ready_jobs_itself and tell is not None and bool(tell())

    @property
    def loads_rows(self) -> bool:
        """Whether the source has ``load``, which reads the rows of several jobs afresh."""
        return self._get("load") is not None

    @property
    def lease_seconds(self) -> float:
        """How many seconds a claim of the source's jobs lasts; see `lease_of`."""
        lease = self._get("lease_duration")
        if lease is None:
            return DEFAULT_LEASE_SECONDS
        return lease_of(self.name, seconds_of("lease_duration", lease, allows_zero=False))

    def context(self) -> AbstractContextManager[object]:
        """Return the context manager that is entered around a run."""
        context: AbstractContextManager[object] = finished(
            self._get("contextManager", nullcontext)(), "contextManager"
        )
        return context

    def ready(self) -> Iterable[RunnableView]:
        """Iterate over the jobs that the source says are ready."""
        return map(RunnableView, finished(self._get("iterReady")(), "iterReady", is_iterated=True))

    def load(self, session: Session, numbers: list[int]) -> dict[int, RunnableView]:
        """Return claimed jobs by number, without those that were not found.

        Raises:
            Exception: whatever the source raises.
        """
        if self.loads_rows:
            found: dict[int, object] = finished(self._get("load")(session, numbers), "load")
        else:  # a source that uses none of our classes: by convention it has get
            with use_session(session):
                found = {number: finished(self._get("get")(number), "get") for number in numbers}
        return {number: RunnableView(job) for number, job in found.items() if job is not None}

    def missing(self) -> RunnableView:
        """Return a stand-in for a job whose row in the source's own table is missing."""
        table = self._get("context_class", self.source)
        name = getattr(table, "__name__", type(self.source).__name__)
        return RunnableView(Unloadable(LookupError(f"its row in {name} is missing")))
