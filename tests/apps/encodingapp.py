"""An application whose jobs take any argument."""

from __future__ import annotations

from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any

from jobcron import BaseRunnableJob, JobType
from jobcron.functions import FunctionJob
from jobcron.steps import StepsJob


class Colour(Enum):
    """An enum with an alias."""

    RED = 1
    BLUE = "blue"
    CRIMSON = 1  # noqa: PIE796


class Level(IntEnum):
    """An enum whose items are numbers."""

    LOW = 1
    HIGH = 2


class Word(StrEnum):
    """An enum whose items are texts."""

    YES = "yes"


class Right(Flag):
    """Flags."""

    READ = 1
    WRITE = 2


class AnyJobType(JobType):
    """The types of jobs with any argument."""

    KEEP = 1
    READ = 2


class KeepJob(BaseRunnableJob):
    """Takes anything."""

    class_job_type = AnyJobType.KEEP
    anything: Any = None

    def run(self) -> None:
        """Do nothing."""


class ReadJob(BaseRunnableJob):
    """Reads its argument."""

    class_job_type = AnyJobType.READ
    anything: Any

    def run(self) -> None:
        """Read it."""
        assert self.anything == 1


def call_of(row: Any) -> Any:
    """Return the arguments of the call that a row of a function has."""
    job = FunctionJob(row)
    return job.args, job.kwargs


def count(job: Any) -> None:
    """Do nothing."""


class Chain(StepsJob):
    """A job of one task."""

    name = "chain_of_encoding"
    tasks = ["encodingapp.count"]
