"""A job that starts a child which outlives it: for the tests of the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobcron import BaseRunnableJob, Job, JobType


class LockJobType(JobType):
    """Types of jobs for these tests."""

    WITH_CHILD = 1


class ChildJob(BaseRunnableJob[Job]):
    """Starts a child that outlives it, and dies."""

    class_job_type = LockJobType.WITH_CHILD

    def run(self) -> None:
        """Start a child by fork, or as a program, and die without a word."""
        path = Path(self.metadata["path"])
        if path.exists():
            return
        if self.metadata["how"] == "fork":
            pid = os.fork()
            if pid == 0:
                try:
                    time.sleep(60)
                finally:
                    os._exit(0)
        else:
            child = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(60)"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                close_fds=False,
            )
            pid = child.pid
        path.write_text(str(pid))
        os.kill(os.getpid(), signal.SIGKILL)
