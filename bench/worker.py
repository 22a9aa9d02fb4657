"""Starting a measured process, and reading what it tells of itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import TOP
from bench.race import Figures
from bench.race import WorkerFailed as WorkerFailed
from bench.stopwatch import FIGURES_FILE

JOBCRON = str(Path(sys.executable).with_name("jobcron"))
TIMEOUT_SECONDS = 600
BEGIN_SECONDS = 60.0
LAST_LINES = 15

_FOREIGN = ("PYTHON", "JOBCRON_", "PG")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a measured process: nothing in it leads Python, jobcron or libpq elsewhere.

    PYTHONDONTWRITEBYTECODE above all: without compiled files every import costs several times as much.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, **(more or {})}


def run(command: list[str], more: Mapping[str, str] | None = None, seconds: float = TIMEOUT_SECONDS) -> str:
    """Run a process to its end, and return what it printed to standard output.

    Args:
        command: the process.
        more: set in its environment.
        seconds: how long it may take.

    Raises:
        WorkerFailed: it failed, or took too long.
    """
    try:
        done = subprocess.run(
            command,
            env=environment(more),
            cwd=TOP,
            timeout=seconds,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WorkerFailed(f"{_shown(command)} took longer than {seconds:g} seconds") from None
    if done.returncode != 0:
        raise WorkerFailed(f"{_shown(command)} left with status {done.returncode}:\n{_end(done.stderr)}")
    return done.stdout


@contextmanager
def staying(command: list[str], log: Path, says: str, more: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run a process that stays inside the block, and yield its number; a SIGTERM ends it.

    Args:
        command: the process.
        log: what it writes to standard error.
        says: what it writes there when it has begun.
        more: set in its environment.

    Raises:
        WorkerFailed: it did not begin.
    """
    with log.open("w") as stderr:
        process = subprocess.Popen(command, env=environment(more), cwd=TOP, stderr=stderr)
    try:
        end = time.monotonic() + BEGIN_SECONDS
        while says not in log.read_text():
            if time.monotonic() > end or process.poll() is not None:
                raise WorkerFailed(f"{_shown(command)} did not begin:\n{_end(log.read_text())}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(BEGIN_SECONDS)


def timed(command: list[str], folder: Path, jobs: int, more: Mapping[str, str] | None = None) -> Figures:
    """Run a process that times its work by `bench.stopwatch`, and return its figures.

    Args:
        command: the process.
        folder: for the file of its figures.
        jobs: how many it has to do.
        more: set in its environment.

    Raises:
        WorkerFailed: it failed, or did another number of jobs.
    """
    file = folder / "figures.json"
    run(command, {FIGURES_FILE: str(file), **(more or {})})
    told = json.loads(file.read_text())
    if told["jobs"] != jobs:
        raise WorkerFailed(f"expected {_shown(command)} to do {jobs} jobs, it did {told['jobs']}")
    return {"per_second": jobs / told["seconds"], "cpu_ms": told["cpu_seconds"] / jobs * 1000}


def _shown(command: list[str]) -> str:
    return " ".join(part for part in command if "://" not in part)  # a URL has a password


def _end(text: str) -> str:
    return "\n".join(text.splitlines()[-LAST_LINES:])
