"""Hooks that are told of jobs and runs: one that keeps what it hears, two that fail, one that stops the run."""

from __future__ import annotations

import os
import signal
from typing import Any

from jobcron.reports.metric_events import JobStarted

heard: list[Any] = []
"""What the hook of these tests was told."""


def refuse(event: object) -> None:
    """Fail, as a hook."""
    raise OSError(f"nobody listens to {type(event).__name__}")


def leave(event: object) -> None:
    """Leave the process, as a hook."""
    raise SystemExit(3)


def stop_the_run(event: object) -> None:
    """Ask this process to stop when a job is about to begin."""
    if not isinstance(event, JobStarted):
        return
    os.kill(os.getpid(), signal.SIGTERM)
