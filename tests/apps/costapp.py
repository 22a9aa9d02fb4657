"""Jobs that do nothing, and one that changes a row, of each kind: to count what running them takes."""

from __future__ import annotations

from typing import Any

from fooapp import Foo, register  # noqa: F401 (the application that the tests' instances name)
from jobcron import BaseRunnableJob, JobType
from jobcron.functions import job
from jobcron.steps import define

KINDS = ("bare", "about", "function", "three")


class CostJobType(JobType):
    """The types of these jobs."""

    BARE = 1
    ABOUT = 2


class BareJob(BaseRunnableJob):
    """A job without a table of its own, or a target."""

    class_job_type = CostJobType.BARE

    def run(self) -> None:
        """Do nothing."""


class AboutJob(BaseRunnableJob):
    """A job that changes what it is about."""

    class_job_type = CostJobType.ABOUT

    target: Foo

    def run(self) -> None:
        """Change it."""
        self.target.frozzled += 1


@job
def nothing() -> None:
    """Do nothing."""


def task(job: Any) -> None:
    """Do nothing."""


def another(job: Any) -> None:
    """Do nothing."""


def the_last(job: Any) -> None:
    """Do nothing."""


Three = define("three", [task, another, the_last])
