"""The names of tasks and hooks, and the functions that they stand for.

Names to import come from configuration and code only. A name in a row is compared with these, and never
imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from jobcron.errors import ConfigurationError, DefinitionChanged
from jobcron.jobs.arguments import json_data
from jobcron.settings.finished import finished, laziness
from jobcron.settings.named import find_named

Task = Callable[[Any], object] | str
"""A function that takes the job, or its dotted name."""

Hook = Callable[..., object] | str | None
"""A method, a function or its dotted name; None: no hook."""

AnyTask = TypeVar("AnyTask", bound=Callable[[Any], object])


class Hooks:
    """Adds the hooks to the class of jobs of several tasks.

    A plain class, so that their annotations declare no arguments.
    """

    creation_hook: Hook = None
    """Called with the new job, in the creator's transaction; if it raises, no job is created."""

    failure_hook: Hook = None
    """Called with the job and the exception after a task failed, in its own transaction; errors are logged."""

    pre_task_hook: Hook = None
    """Called with the job before each task, in the task's transaction; if it raises, the task has failed."""

    post_task_hook: Hook = None
    """Called with the job after each task, even after a failed one; its errors are logged."""


def task_name(task: Task) -> str:
    """Return the dotted name of a task, as a job's row holds it."""
    return task if isinstance(task, str) else f"{task.__module__}.{task.__qualname__}"


def resolve(task: Task, place: str) -> Callable[..., object]:
    """Return the function of a task or hook.

    Args:
        task: the task or hook, as it was defined.
        place: where it is defined, for messages.

    Raises:
        ConfigurationError: there is no such function, or a call would not run it.
    """
    if not isinstance(task, str):
        return task
    found = find_named(task, place, "a function")
    if lazy := laziness(found):
        raise ConfigurationError(f"{place}: expected {task} to be a function that a call runs, got {lazy}")
    return found


def call(function: Callable[..., object], *arguments: object) -> None:
    """Call a task or a hook, and check that it ran.

    Raises:
        IncompleteJobType: it returned something that still has to be run, such as a coroutine.
        Exception: whatever it raises.
    """
    finished(function(*arguments), json_data.cut_repr(function))


def place_of(names: Sequence[str], step: int, wanted: str, what: str) -> int:
    """Return the index of a job's next task among the tasks of its definition.

    The name decides; the number matters only if several tasks have the name. So tasks may be added and moved while
    jobs are under way. A job without a next task begins with the first task.

    Args:
        names: the names of the tasks.
        step: how many tasks the job has done.
        wanted: the name of its next task.
        what: the job, for messages.

    Raises:
        DefinitionChanged: there is no such task any more, or it is ambiguous.
    """
    if not wanted:
        return 0
    places = [number for number, name in enumerate(names) if name == wanted]
    if step in places:
        return step
    if len(places) == 1:
        return places[0]
    found = "it is there more than once, and not in this place" if places else "it is not there"
    raise DefinitionChanged(
        f"expected {wanted} among the tasks of {what}, as its task {step + 1}: {found}; the tasks are "
        f"{', '.join(names)}. Put it back, or let the job begin with another one by setting its next_task"
    )
