"""Functions that are run as jobs, for the tests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from fooapp import Foo, Ledger
from jobcron import FailedJobError, NothingToDoJob, RetryableJobError, chain, current_session
from jobcron.functions import FunctionJob, job, job_as_parameter, register, related_action


def note(text: str) -> None:
    """Write a ledger row in the job's transaction."""
    current_session().add(Ledger(job=0, attempt=0, note=text))


@job
def export(model: str, number: int = 1) -> str:
    """Export one thing.

    In detail.
    """
    note(f"{model} {number}")
    return f"exported {model} {number}"


@job
def undocumented() -> None:
    note("undocumented")


@job
def with_session(session: Session, text: str) -> None:
    """Use the session that it is given, as the connector's functions do."""
    assert session is current_session()
    session.add(Ledger(job=0, attempt=0, note=text))


@job(retry_pattern={1: 10, 2: 60, 4: 600}, max_retries=4, priority=3, description="Try")
def troubled(kind: str) -> str | None:
    """Raise what it is told."""
    note("never")
    match kind:
        case "a result that is hard to store":
            return "10 €, \0, \ud800"
        case "retry":
            raise RetryableJobError("later")
        case "retry in 5":
            raise RetryableJobError("soon", seconds=5)
        case "ignored":
            raise RetryableJobError("not mine", 60, True)
        case "failed":
            raise FailedJobError("for good")
        case "nothing":
            raise NothingToDoJob("nothing to export")
        case "value":
            raise ValueError("a mistake")
    return None


@job
def die_once(path: str) -> str:
    """Die the first time."""
    note("survived")
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@job
def meet(folder: str, number: int) -> None:
    """Wait, without a transaction, for another process that does the same."""
    (Path(folder) / f"here-{number}").touch()
    deadline = time.monotonic() + 60
    while not (Path(folder) / f"here-{1 - number}").exists():
        assert time.monotonic() < deadline, "nobody came"
        time.sleep(0.02)
    note(f"met {number}")


async def work_later() -> None:
    """Be never awaited."""


@job
def sneaky() -> Any:
    """Return what would do the work, as a decorated function may."""
    note("never")
    return work_later()


@job
@job_as_parameter
def begin_graph(running: FunctionJob, model: str) -> None:
    """Let another job wait for this one."""
    chain(running, export.planned(model)).create()
    note("begun")


@job
@job_as_parameter
def count_ends(running: FunctionJob) -> str:
    """Return how the jobs before this one ended, and what they returned."""
    ends = sorted(running.predecessor_counts().items())
    counts = ", ".join(f"{number} {status.name}" for status, number in ends)
    results = [before.result for before in running.predecessors() if before.result]
    return f"{counts}: {', '.join(results)}"


@job
def log_in(user: str, password: str, *more: str) -> None:
    """Fail with a secret in hand."""
    raise ValueError(f"{user} may not")


@job(database_only=True)
def fail_or_die(death: bool = False) -> None:
    """End badly, having done nothing elsewhere."""
    if death:
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("it failed")


@job(retry_pattern={1: 0}, max_retries=2, priority=4)
def second_time(running: FunctionJob | None = None) -> str:
    """Succeed when it is run again."""
    if FunctionJob.get(1, session=current_session()).job.attempt_count < 2:
        raise RetryableJobError("not yet")
    return "well"


@job(name="export-one")
def named() -> None:
    """Fail under another name."""
    raise FailedJobError("for good")


def open_foo(session: Session, running: FunctionJob, what: str = "foo") -> dict[str, Any]:
    """Lead from a job to its foo."""
    return {"what": what, "number": running.arguments[0], "session": session is running.session}


@job
@related_action(action=open_foo, what="the foo")
def about_foo(number: int) -> None:
    """Be about a foo."""


@job_as_parameter
def again(running: FunctionJob, n: int = 5) -> None:
    """Come back once more."""
    note(f"n={n}")
    if n < 7:
        running.reschedule("3d", kwargs={"n": n + 1})


def frozzle(foo: Foo, by: int = 1) -> int:
    """Change an object."""
    foo.frozzled += by
    return foo.frozzled


register(again)
register(frozzle)


def not_registered() -> None:
    """Nobody registers it."""
