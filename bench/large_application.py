"""The application of the large database: two types of jobs without a table of their own."""

from __future__ import annotations

from jobcron import BaseRunnableJob, JobType


class LargeJobType(JobType):
    """The types of jobs."""

    COMMON = 0, "Do nothing, often"
    RARE = 1, "Do nothing, seldom"


class CommonJob(BaseRunnableJob):
    """Of this type are nearly all jobs."""

    class_job_type = LargeJobType.COMMON

    def run(self) -> None:
        """Do nothing."""


class RareJob(BaseRunnableJob):
    """Of this type is one job in a thousand."""

    class_job_type = LargeJobType.RARE

    def run(self) -> None:
        """Do nothing."""
