"""Jobs of several tasks: each notes in a ledger what it did, and does what its workspace asks for."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from fooapp import Ledger, register  # noqa: F401 (the application that the tests' instances name)
from jobcron.steps import StepsJob, define

CRASHES = "crashes"


def note(job: Any, text: str) -> None:
    """Write to the ledger, in the job's own transaction."""
    job.session.add(Ledger(job=job.id, attempt=job.attempt_count, note=text))
    job.session.flush()


def act(job: Any, place: str) -> None:
    """Note the place, and do what the workspace says is to be done there."""
    job.workspace.setdefault("seen", []).append(place)
    note(job, place)
    for verb, argument in job.workspace.get(place, []):
        if verb == "raise":
            raise ValueError(argument)
        if verb == "die":  # so often
            deaths = Path(argument[0])
            died = len(deaths.read_text()) if deaths.exists() else 0
            if died < argument[1]:
                deaths.write_text("x" * (died + 1))
                os.kill(os.getpid(), signal.SIGKILL)
        if verb == "wait":  # until somebody says go on
            Path(argument[0]).touch()
            while not Path(argument[1]).exists():
                time.sleep(0.01)
        if verb == "move":
            getattr(job, argument)()
        if verb == "set":
            job.workspace.update(argument)


def first(job: Any) -> None:
    """The first task."""
    act(job, "first")


def second(job: Any) -> None:
    """The second task."""
    act(job, "second")


def third(job: Any) -> None:
    """The third task."""
    act(job, "third")


async def lazy(job: Any) -> None:
    """Be what a call does not run."""


def on_creation(job: Any) -> None:
    """Be the creation hook."""
    act(job, "creation")


def on_failure(job: Any, exception: BaseException) -> None:
    """Be the failure hook."""
    job.workspace["failure"] = [str(exception), job.next_task, job.state]
    act(job, "on failure")


def before_task(job: Any) -> None:
    """Be the hook before each task."""
    act(job, f"before {job.next_task.rpartition('.')[2]} {job.state}")


def after_task(job: Any) -> None:
    """Be the hook after each task."""
    act(job, f"after {job.state}")


class Plain(StepsJob):
    """Three tasks, no hooks."""

    name = "plain"
    tasks = [first, second, "stepsapp.third"]


Hooked = define(
    "hooked",
    [first, second],
    creation_hook=on_creation,
    failure_hook="stepsapp.on_failure",
    pre_task_hook=before_task,
    post_task_hook=after_task,
)


Decorated = define("decorated", max_retries=1)


@Decorated.task
def one(job: Any) -> None:
    """Be the first task."""
    act(job, "one")


@Decorated.task
def two(job: Any) -> None:
    """Be the second task."""
    act(job, "two")


Decorated.task(one)
