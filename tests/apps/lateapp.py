"""Jobs that take their time at the end, and an import that takes long: for the tests of the isolated runner."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from jobcron import BaseRunnableJob, JobType, after_commit

SLOW_IMPORT = "JOBCRON_TEST_SLOW_IMPORT"
"""Names a file that is there as long as the import of the application is to take, in a child that runs jobs."""


class EndsJobType(JobType):
    """The types of this module."""

    LATE = 40
    TELLING = 41
    PLAIN = 42


def note(path: str, text: str) -> None:
    """Write a line to a file."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


class LateJob(BaseRunnableJob):
    """Fails just before its time limit, and takes as long again to clean up."""

    class_job_type = EndsJobType.LATE
    time_limit = timedelta(seconds=6)
    path: str

    def run(self) -> None:
        """Fail late."""
        time.sleep(5.8)
        raise ValueError("the real error")

    def afterFailure(self, error: BaseException) -> None:
        """Take a while."""
        note(self.path, "begun")
        time.sleep(5.7)  # within its own limit; the parent's patience with ``run`` ends after 11 s
        note(self.path, "ended")


class TellingJob(BaseRunnableJob):
    """Tells somebody after its commit, for longer than its lease and its time limit."""

    class_job_type = EndsJobType.TELLING
    lease_duration = timedelta(seconds=1)
    time_limit = timedelta(seconds=1)
    path: str

    def run(self) -> None:
        """Leave word."""
        path = self.path

        def tell() -> None:
            note(path, "begun")
            time.sleep(8)
            note(path, "ended")

        after_commit(self.session, tell)


class PlainJob(BaseRunnableJob):
    """Notes that it ran."""

    class_job_type = EndsJobType.PLAIN
    path: str

    def run(self) -> None:
        """Take a moment."""
        note(self.path, "begun")
        time.sleep(0.5)
        note(self.path, "ended")


def _import_slowly() -> None:
    if SLOW_IMPORT not in os.environ:
        return
    path = Path(os.environ[SLOW_IMPORT])
    if path.exists() and "jobcron.runner.isolated" in Path("/proc/self/cmdline").read_text(encoding="utf-8"):
        path.write_text("it has begun")
        while path.exists():
            time.sleep(0.05)


_import_slowly()
