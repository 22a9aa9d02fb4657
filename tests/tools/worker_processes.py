"""Workers in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fork_server import Forked
from instances import Instance, fork_server, wait_until
from jobcron import JobStatus
from paths import JOBCRON

SOON = 60.0


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    wait_until(condition, "the condition to hold", SOON)


class RunningWorker:
    """A worker in a process of its own."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.log = folder / "worker.log"
        self.process: subprocess.Popen[bytes] | Forked
        command, given = ["worker", *arguments], {**os.environ, "JOBCRON_CONFIG": str(folder), **environment}
        with self.log.open("a") as log:
            if fork_server().suits(given):
                files = 1, log.fileno()
                self.process = fork_server().start(JOBCRON, command, given, None, *files, has_session=True)
            else:
                self.process = subprocess.Popen([JOBCRON, *command], env=given, stderr=log, start_new_session=True)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the status."""
        self.process.send_signal(number)
        return self.process.wait(SOON)

    def children(self) -> list[int]:
        """Return the numbers of its processes."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


@contextmanager
def worker(instance: Instance | Path, *arguments: str, **environment: str) -> Iterator[RunningWorker]:
    """Start a worker of an instance, or of a folder for its log; it is ended at the end."""
    folder = instance if isinstance(instance, Path) else instance.path
    running = RunningWorker(folder, ("--poll", "0.2", *arguments), environment)
    try:
        yield running
    finally:
        for pid in [running.process.pid, *(running.children() if running.process.poll() is None else [])]:
            if running.process.poll() is None or pid != running.process.pid:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)
        running.process.wait()


def is_completed(instance: Instance, *jobs: int) -> Callable[[], bool]:
    """Return whether jobs have completed, when called."""
    return lambda: all(instance.row(job).status is JobStatus.COMPLETED for job in jobs)
