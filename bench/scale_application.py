"""The application of P10: jobs that do nothing, and now and then note the memory of their process."""

from __future__ import annotations

import os
from pathlib import Path

from jobcron import BaseRunnableJob, JobType

JOBS_FILE = "JOBCRON_BENCH_MEMORY"

EVERY = 500


class ScaleJobType(JobType):
    """The types of these jobs."""

    COUNTED = 1, "Be counted"


class CountedJob(BaseRunnableJob):
    """A job without a table that counts itself."""

    class_job_type = ScaleJobType.COUNTED

    jobs = 0

    def run(self) -> None:
        """Count, and note the process's own memory in KiB: what it does not share with a file."""
        CountedJob.jobs += 1
        if CountedJob.jobs % EVERY == 0:
            status = Path("/proc/self/status").read_text()
            own = next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))
            with open(os.environ[JOBS_FILE], "a", encoding="utf-8") as file:
                file.write(f"{os.getpid()} {own}\n")
