"""Jobs that fail, and name whom to tell: the user, the operator, or nobody."""

from __future__ import annotations

from typing import ClassVar

from jobcron import BaseRunnableJob, JobType
from jobcron.jobs.job import Job


class Refused(Exception):
    """The user's fault."""


class RefusedTwice(Refused):
    """A kind of it."""


class RunnableJobType(JobType):
    """Types of jobs for these tests."""

    QUIET = 1
    LOUD = 2


class QuietJob(BaseRunnableJob[Job]):
    """Says nothing of itself."""

    class_job_type = RunnableJobType.QUIET
    user_error_types = (Refused,)

    ERRORS: ClassVar[dict[str, type[Exception]]] = {"refused": RefusedTwice, "broken": ZeroDivisionError}

    def run(self) -> None:
        """Raise what the data says."""
        raise self.ERRORS[self.metadata["raise"]](f"this is {self.metadata['raise']}")


class LoudJob(QuietJob):
    """Tells two kinds of people."""

    class_job_type = RunnableJobType.LOUD

    def getOperationDescription(self) -> str:
        """Name the operation."""
        return "shouting"

    def getErrorRecipients(self) -> list[str]:
        """Name the user."""
        return ["user@example.com"]

    def getOopsRecipients(self) -> list[str]:
        """Name the user and the operator."""
        return [*super().getOopsRecipients(), "operator@example.com"]
