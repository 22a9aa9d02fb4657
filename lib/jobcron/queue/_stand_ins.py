"""What stands for a claimed job whose own object cannot be had."""

from __future__ import annotations

from jobcron.jobs.job import Job


class Unloadable:
    """Stands for a job whose rows could not be loaded: running it fails with that error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> None:
        """Raise the error."""
        raise self.error


class Bare:
    """Stands for a job of which only the shared row is known."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self) -> None:
        """Refuse: nobody knows what to run."""
        raise NotImplementedError(f"nobody knows how to run {self.job!r}")
