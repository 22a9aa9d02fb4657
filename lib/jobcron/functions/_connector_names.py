"""The attribute names of the OpenERP connector's jobs, read from our rows (OCQ-03)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from jobcron.functions._options import stored_retries
from jobcron.functions._state import FunctionState
from jobcron.interfaces import JobStatus

if TYPE_CHECKING:
    from jobcron.jobs.job import Job


class ConnectorNames:
    """Adds the connector's attribute names to the job that calls a function."""

    if TYPE_CHECKING:  # attributes of the job that this mixin is part of
        function: str

        @property
        def job(self) -> Job: ...

        @job.setter
        def job(self, value: Job) -> None: ...

        @property
        def args(self) -> tuple[object, ...]: ...

        @property
        def kwargs(self) -> dict[str, object]: ...

    @property
    def state(self) -> FunctionState:
        """The state, in the connector's terms."""
        return FunctionState.of(self.job.status)

    @property
    def func_name(self) -> str:
        """The dotted name of the function."""
        return self.function

    @property
    def func_string(self) -> str:
        """The call, as it would look in code."""
        about = [] if self.job.target_type is None else [f"<{self.job.target_type} {self.job.target_id}>"]
        keywords = (f"{name}={value!r}" for name, value in self.kwargs.items())
        return f"{self.function}({', '.join([*about, *map(repr, self.args), *keywords])})"

    @property
    def model(self) -> str | None:
        """The type of the content object, if there is one."""
        return self.job.target_type

    @property
    def retry(self) -> int:
        """How often the job was run, not counting attempts whose process died."""
        return self.job.attempt_count - self.job.crash_count

    @property
    def max_retries(self) -> int:
        """How often the job may run, the first run included, as the connector counts; 0: no limit.

        The row stores one less: the number of retries.
        """
        return 0 if self.job.max_retries is None else self.job.max_retries + 1

    @max_retries.setter
    def max_retries(self, runs: int) -> None:
        self.job.max_retries = stored_retries(runs)

    @property
    def result(self) -> str | None:
        """What the function returned, as text."""
        return self.job.result

    @property
    def exc_info(self) -> str | None:
        """The traceback of the last error; None if the job completed after it."""
        return None if self.job.status is JobStatus.COMPLETED else self.job.log

    @property
    def eta(self) -> datetime:
        """The time before which the job does not start."""
        return self.job.scheduled_start

    @property
    def date_enqueued(self) -> None:
        """Always None: besides its row, a job is in no queue."""

    @property
    def date_done(self) -> datetime | None:
        """When the job completed, or None."""
        return self.job.date_finished if self.job.status is JobStatus.COMPLETED else None

    @property
    def user(self) -> str | None:
        """Who asked for the job."""
        return self.job.requester

    @property
    def worker(self) -> str | None:
        """The process that is running the job or ran it last: ``host:process id``."""
        return self.job.claimed_by
