"""The run of a job of several tasks: one claim, and a fenced commit after each task (DBQ-02, DBQ-07).

A task's work, its changes to the workspace, and the step commit together. However the process ends, the next
run begins with the first uncommitted task. Attempts, deaths and retries are counted for each task: its commit
resets the counts, so that a death in the third task does not count for the first two.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Protocol

from sqlalchemy.orm import Session

from jobcron.errors import Interrupted
from jobcron.interfaces import RunningAttempt
from jobcron.jobs.job import Job
from jobcron.steps._state import State
from jobcron.steps._tasks import call, place_of, resolve

logger = logging.getLogger("jobcron.steps")


class TaskJob(Protocol):
    """A job of several tasks, as its run sees it: see `StepsJob`."""

    attempt: RunningAttempt | None
    shown_state: State | None
    workspace: dict[str, Any]

    @property
    def job(self) -> Job: ...

    @property
    def tasks(self) -> Sequence[Callable[[Any], object] | str]: ...

    @property
    def defined_in(self) -> str: ...

    @property
    def failure_hook(self) -> object: ...

    @property
    def post_task_hook(self) -> object: ...

    @property
    def step(self) -> int: ...

    @property
    def next_task(self) -> str: ...

    @property
    def session(self) -> Session: ...

    def task_names(self) -> list[str]: ...

    def keep(self, step: int) -> None: ...

    def save(self) -> None: ...

    def forget_workspace(self) -> None: ...

    def checked(self, workspace: object) -> dict[str, Any]: ...


# why: decisions 2026-11-24, one claim for all tasks of a job
def run_tasks(job: TaskJob) -> None:
    """Run the remaining tasks; the last one commits with COMPLETED.

    Raises:
        Interrupted: the run must stop, and another task would have begun.
        DefinitionChanged: the job's next task is no longer among its tasks.
    """
    names = job.task_names()
    step = place_of(names, job.step, job.next_task, repr(job))
    while True:
        _run_task(job, step)
        step += 1
        if step == len(names):
            return
        _commit(job)


def _run_task(job: TaskJob, step: int) -> None:
    job.shown_state = None
    run_hook(job, "pre_task_hook")
    call(resolve(job.tasks[step], job.defined_in), job)
    job.keep(step + 1)
    job.session.flush()  # if the database refuses the task's work, it does so before the hook
    job.shown_state = State.READY if job.next_task else State.COMPLETE
    run_guarded_hook(job, "post_task_hook")
    job.keep(step + 1)  # the hook may have changed the workspace
    job.shown_state = None


def _commit(job: TaskJob) -> None:
    """Commit a task; for the counts, its success ends an attempt."""
    if job.attempt is None:
        job.session.flush()
        return
    job.job.attempt_count, job.job.crash_count = 1, 0
    job.attempt.checkpoint()
    job.attempt.start_counts_afresh()
    if job.attempt.must_stop():
        raise Interrupted("the run was stopped between two tasks")


def failed(job: TaskJob, error: BaseException) -> None:
    """Call the hooks that follow a failure, in a transaction that the caller commits.

    The failure hook sees the workspace as the failed task left it, so that it can clean up. The hooks' changes
    to it are kept; the task's changes are rolled back with the rest of its work.
    """
    if job.failure_hook is None and job.post_task_hook is None:
        return
    left = deepcopy(job.workspace)
    job.shown_state = State.FAILED
    run_guarded_hook(job, "failure_hook", error)
    run_guarded_hook(job, "post_task_hook")
    changed = job.workspace
    job.forget_workspace()
    for key in left.keys() - changed.keys():
        job.workspace.pop(key, None)
    job.workspace.update({k: v for k, v in changed.items() if k not in left or left[k] != v})
    job.save()


def run_hook(job: TaskJob, name: str, *arguments: object) -> None:
    """Call a hook, if there is one."""
    hook = getattr(job, name)
    if isinstance(hook, str):
        call(resolve(hook, f"{job.defined_in}, {name}"), job, *arguments)
    elif hook is not None:
        # A function in a class is a method already; another callable object is not.
        is_bound = getattr(hook, "__self__", None) is job
        call(hook, *(arguments if is_bound else (job, *arguments)))


def run_guarded_hook(job: TaskJob, name: str, *arguments: object) -> None:
    """Call a hook whose errors do not affect the job: its work is undone, and the error is logged."""
    if getattr(job, name) is None:
        return
    before = deepcopy(job.workspace)
    try:
        with job.session.begin_nested():
            run_hook(job, name, *arguments)
            job.checked(job.workspace)
    except Exception:
        if job.attempt is not None and job.attempt.interrupted is not None:
            raise  # not the hook's own error: it was stopped
        job.workspace = before
        logger.exception("The %s of %r failed; this changes nothing about the job.", name, job)
