"""The run of a job of several tasks: one claim, and a fenced commit after each task (DBQ-02, DBQ-07).

A task's work, its changes to the workspace, and the progress are committed together. If a task commits before its
end, the workspace is committed with it, so that it agrees with the work. However the process ends, the next run
begins with the first uncommitted task. Attempts, crashes and retries are counted for each task: its commit resets
the counts, so that crashes in one task do not count against the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Protocol

from sqlalchemy.orm import Session

from jobcron.errors import ConfigurationError, Interrupted, InvalidJobData, MissingCode
from jobcron.interfaces import RunningAttempt
from jobcron.jobs.job import Job
from jobcron.steps._progress import Progress
from jobcron.steps._state import State
from jobcron.steps._tasks import Task, call, resolve

logger = logging.getLogger("jobcron.steps")


class TaskJob(Protocol):
    """The parts of `StepsJob` that its run uses."""

    attempt: RunningAttempt | None
    shown_state: State | None
    workspace: dict[str, object]

    @property
    def job(self) -> Job: ...

    @property
    def tasks(self) -> Sequence[Task]: ...

    @property
    def defined_in(self) -> str: ...

    @property
    def failure_hook(self) -> object: ...

    @property
    def post_task_hook(self) -> object: ...

    @property
    def session(self) -> Session: ...

    def task_names(self) -> list[str]: ...

    def keep(self, progress: Progress) -> None: ...

    def has_steps(self) -> bool: ...

    def steps_after(self, progress: Progress) -> dict[str, object]: ...

    def save(self) -> None: ...

    def travelling(self) -> AbstractContextManager[None]: ...

    def forget_workspace(self) -> None: ...

    def checked(self, workspace: object) -> dict[str, object]: ...

    def _progress(self) -> Progress: ...


# why: decisions 2026-11-24, one claim for all tasks of a job
def run_tasks(job: TaskJob) -> None:
    """Run the tasks that are not done; the last one is committed together with the status COMPLETED.

    If a task moves its job to another status, the run ends with this task. A later run, if there is one, goes on
    with the remaining tasks.

    Raises:
        Interrupted: the run must stop before the next task begins.
        MissingCode: the next task is no longer among the job's tasks, or cannot be imported.
    """
    names = job.task_names()
    progress = job._progress()
    rest = progress.rest(names, repr(job))
    with job.travelling():
        while rest:
            place, *rest = rest
            progress = progress.after(names[place], [names[later] for later in rest])
            _run_task(job, names[place], job.tasks[place], progress)
            if rest:
                _commit(job)
                if job.attempt is not None and job.attempt.has_moved:
                    return


def check_tasks(job: TaskJob) -> None:
    """Check that this code's definition has all tasks that a job has to do.

    The job's row names them: the tasks that are left, or if none is done, those of its creation.

    Raises:
        MissingCode: a task is missing, or the next one cannot be imported.
    """
    # why: decisions 2026-11-29, a row names what it needs
    names = job.task_names()
    try:
        progress = job._progress()
    except InvalidJobData:
        return  # `run` says what is wrong
    created_with = [] if progress.done else [name for name in (job.job.needs or "").split() if "." in name]
    for name in progress.todo or created_with:
        if name not in names:
            known = ", ".join(names)
            message = f"expected {name} among the tasks of {job!r}, they are {known}"
            what = f"the task {name} of {job.defined_in}"
            raise MissingCode(what, f"{message}; setting next_task makes do with these")
    rest = progress.rest(names, repr(job))
    if rest:
        _resolved(job, names[rest[0]], job.tasks[rest[0]])


def _resolved(job: TaskJob, name: str, task: Task) -> Callable[..., object]:
    try:
        return resolve(task, job.defined_in)
    except ConfigurationError as error:
        raise MissingCode(f"the task {name} of {job.defined_in}", str(error)) from error


def _run_task(job: TaskJob, name: str, task: Task, done: Progress) -> None:
    job.shown_state = None
    function = _resolved(job, name, task)  # before anything is done: the code of this run may lack it
    run_hook(job, "pre_task_hook")
    call(function, job)
    has_hook = job.post_task_hook is not None
    if not has_hook and job.attempt is not None and not job.attempt.has_moved and job.has_steps():
        job.steps_after(done)  # what cannot be stored is refused here, in the task
        # What commits after the last task, such as a frame of the application's, does not complete the job.
        job.attempt.keep_steps(
            lambda is_end: job.steps_after(done if is_end else done._replace(is_ending=not done.todo))
        )
        return
    # A hook may commit, when the last task is done and the job is not COMPLETED yet.
    job.keep(done._replace(is_ending=has_hook and not done.todo))
    job.session.flush()  # if the database refuses the task's work, it does so before the hook
    if has_hook:
        job.shown_state = State.READY if done.todo else State.COMPLETE
        run_guarded_hook(job, "post_task_hook")
        job.keep(done)  # the hook may have changed the workspace
    job.shown_state = None


def _commit(job: TaskJob) -> None:
    """Commit a task, and reset the counts of attempts."""
    if job.attempt is None:
        job.session.flush()
        return
    job.attempt.end_task()
    if job.attempt.must_stop():
        raise Interrupted("the run was stopped between two tasks")


def failed(job: TaskJob, error: BaseException) -> None:
    """Call the failure hook and the post-task hook, in a transaction that the caller commits.

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
    """Call a hook; if it raises an error, roll back its work, log the error, and let the job go on."""
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
