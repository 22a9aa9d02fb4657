"""Jobs that fail in all ways in which a job can fail: for the tests of errors."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from typing import ClassVar

from fooapp import Deadlock, NotNow, UserError
from instances import Instance
from jobcron import (
    BaseRunnableJob,
    JobType,
    LeaseLost,
    RetryableJobError,
    SuspendJobException,
    after_commit,
    new_mail,
    send,
)
from jobcron.runner.job_runner import JobRunner


class ErrorJobType(JobType):
    """Types of jobs for these tests."""

    ERRING = 1
    PATIENT = 2
    LEAVING = 3


def endless(depth: int) -> int:
    """Call itself."""
    return endless(depth + 1) + 1


class ErringJob(BaseRunnableJob):
    """Raises what it is told."""

    class_job_type: ClassVar[JobType] = ErrorJobType.ERRING
    user_error_types = (UserError,)
    retry_error_types = (NotNow,)
    max_retries = 1
    kind: str
    tell: str = ""

    def run(self) -> None:
        """Raise."""
        errors: dict[str, list[BaseException]] = {
            "retries": [NotNow("a"), RetryableJobError("b", seconds=3600)],
            "users": [UserError("a"), UserError("b")],
            "suspensions": [SuspendJobException("a"), SuspendJobException("b")],
            "a retry and a failure": [NotNow("a"), ValueError("b")],
            "a user error and a retry": [UserError("a"), NotNow("b")],
            "a deadlock among others": [ValueError("a"), Deadlock("b")],
            "a key that nobody pressed": [ValueError("a"), KeyboardInterrupt()],
            "a lease lost": [ValueError("a"), LeaseLost("b")],
        }
        if self.kind == "a key pressed":
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(10)
            except KeyboardInterrupt as pressed:
                raise BaseExceptionGroup("outer", [ValueError("a"), pressed]) from None
        if self.kind == "deep":
            deep: Exception = ValueError("the innermost")
            for _ in range(5000):
                deep = ExceptionGroup("another", [deep])
            raise deep
        if self.kind in errors:
            inner = BaseExceptionGroup("inner", errors[self.kind][1:])
            raise BaseExceptionGroup("outer", [errors[self.kind][0], inner])
        if self.kind == "recursion":
            endless(0)
        if self.kind == "memory":
            raise MemoryError
        if self.kind == "mail":
            after_commit(self.session, lambda: send([self.tell], new_mail("Done", "It is done: ärger\n.\n")))
        if self.kind == "mail and fail":
            after_commit(self.session, lambda: send([self.tell], new_mail("Done", "never")))
            raise ValueError("no mail of this job's own")

    def getErrorRecipients(self) -> list[str]:
        """Tell whom the job names."""
        return [self.tell] if self.tell else []


class Shy(Exception):
    """Ends its process when it is printed."""

    def __init__(self, end: type[BaseException]) -> None:
        super().__init__()
        self.end = end

    def __str__(self) -> str:
        raise self.end

    __repr__ = __str__


class LeavingJob(BaseRunnableJob):
    """Wants to end its process in one of the things that it is asked."""

    class_job_type = ErrorJobType.LEAVING
    user_error_types = (UserError,)
    where: str
    key: bool = False
    pressed: bool = False

    def _leave(self, where: str) -> None:
        if self.where == where and self.pressed:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        if self.where == where:
            raise self._end

    @property
    def _end(self) -> type[BaseException]:
        return KeyboardInterrupt if self.key else SystemExit

    def run(self) -> None:
        """Fail."""
        if self.where == "after_commit":
            after_commit(self.session, lambda: self._leave("after_commit"))
        elif self.where == "__str__":
            raise Shy(self._end)
        elif self.where == "notifyUserError":
            raise UserError("yours")
        elif self.where != "nowhere":
            raise ValueError("mine")

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Tell all, or leave."""
        self._leave("getOopsVars")
        return [*super().getOopsVars(), ("shy", Shy(self._end) if self.where == "a variable" else None)]

    def notifyOops(self, oops: dict[str, object]) -> None:
        """Tell people, or leave."""
        self._leave("notifyOops")
        super().notifyOops(oops)

    def notifyUserError(self, e: BaseException) -> None:
        """Tell people, or leave."""
        self._leave("notifyUserError")

    def getErrorRecipients(self) -> list[str]:
        """Tell whom to tell, or leave."""
        self._leave("getErrorRecipients")
        return ["boss@example.com"]

    def afterFailure(self, error: BaseException) -> None:
        """Clean up, or leave."""
        self._leave("afterFailure")

    @property
    def time_limit(self) -> None:  # type: ignore[override]
        """Tell how long it may run, or leave."""
        self._leave("time_limit")

    @property
    def retry_error_types(self) -> tuple[type[Exception], ...]:  # type: ignore[override]
        """Tell what is tried again, or leave."""
        self._leave("retry_error_types")
        return ()


class PatientJob(BaseRunnableJob):
    """Waits longer each time."""

    class_job_type = ErrorJobType.PATIENT
    retry_error_types = (NotNow,)
    retry_delay = timedelta(seconds=100)
    retry_backoff = 3.0
    retry_delay_limit = timedelta(seconds=1000)
    retry_jitter = 0.5
    max_retries = None
    fixed: float = 0.0

    def run(self) -> None:
        """Fail for the moment."""
        if self.fixed:
            raise RetryableJobError("in a while", seconds=self.fixed)
        raise NotNow("not now")


SECTIONS = """
[erring]
source_interface: erringapp.ErringJob

[leaving]
source_interface: erringapp.LeavingJob

[patient]
source_interface: erringapp.PatientJob
"""


def make(instance: Instance, kind: str, tell: str = "") -> int:
    """Commit a job."""
    with instance.session() as session:
        return ErringJob.create(kind=kind, tell=tell, session=session).id


class BrokenRunner(JobRunner):
    """A runner that cannot run anything."""

    def runAll(self) -> None:
        """Fail."""
        raise RuntimeError("broken by its author")
