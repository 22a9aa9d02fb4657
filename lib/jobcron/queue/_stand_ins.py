"""Stand-ins for claimed jobs whose own objects are not available."""

from __future__ import annotations

from jobcron.jobs.job import Job


class Unloadable:
    """Stand-in for a job whose rows could not be loaded: running it raises that error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> None:
        """Raise the error."""
        raise self.error


class Bare:
    """Stand-in for a job of which only the shared row is known."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self) -> None:
        """Raise `NotImplementedError`: the class of the job is unknown."""
        raise NotImplementedError(f"nobody knows how to run {self.job!r}")


STAND_INS = (Unloadable, Bare)
"""The classes of what runs in place of a job."""
