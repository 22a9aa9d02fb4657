"""Checks of a definition of jobs of several tasks, made when its class is created (DBQ-01, DBQ-07)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobcron.errors import IncompleteJobType, InvalidJobData
from jobcron.jobs.arguments import json_data
from jobcron.settings.finished import laziness
from jobcron.settings.named import dotted_name
from jobcron.settings.suggestions import suggestion
from jobcron.steps.values import queue, stored_priority

HOOKS = ("creation_hook", "failure_hook", "pre_task_hook", "post_task_hook")


class Definition(Protocol):
    """A class of jobs of several tasks, before its author's values are checked."""

    @property
    def name(self) -> object: ...

    @property
    def tasks(self) -> object: ...

    @property
    def default_queue(self) -> object: ...


def check_definition(definition: Definition) -> None:
    """Check the name, the tasks and the hooks of a class.

    Raises:
        IncompleteJobType: one of them is wrong; the message names the class.
    """
    what = dotted_name(definition)
    name, tasks = definition.name, definition.tasks
    if not name or not isinstance(name, str) or len(name) > 100 or not name.isprintable():
        raise IncompleteJobType(f"expected {what} to have a name of 1 to 100 printable characters, got {name!r}")
    if not isinstance(tasks, Sequence) or isinstance(tasks, str | bytes):
        raise IncompleteJobType(f"expected tasks of {what} to be a list, got {json_data.shown(tasks)}")
    for task in tasks:
        check_task(task, what)
    for hook in HOOKS:
        if (function := getattr(definition, hook)) is not None:
            _check_function(function, f"{hook} of {what} to be a function or its dotted name")


def check_task(task: object, what: str) -> None:
    """Check that a task of the class `what` is an ordinary function, or a dotted name.

    Raises:
        IncompleteJobType: it is neither.
    """
    expected = f"tasks of {what} to be functions or their dotted names"
    _check_function(task, expected)
    if not isinstance(task, str) and not hasattr(task, "__qualname__"):
        raise IncompleteJobType(f"expected {expected}, got one without a name, {json_data.shown(task)}")


def check_options(name: str, options: dict[str, object], known: type) -> None:
    """Check that a class has all attributes that `options` names: a misspelt one would do nothing.

    Raises:
        IncompleteJobType: it lacks one of them.
    """
    # any object: a class, checked for names that its author may have misspelt
    if unknown := sorted(key for key in options if key.startswith("_") or not hasattr(known, key)):
        raise IncompleteJobType(
            f"expected options of {name} to be hooks ({', '.join(HOOKS)}) or other attributes that "
            f"{known.__name__} has, such as max_retries, got {', '.join(unknown)}"
            f"{suggestion(unknown[0], dir(known))}"
        )


def check_values(definition: Definition) -> None:
    """Check the defaults for the jobs of a class: their queue, priority and retries.

    Raises:
        IncompleteJobType: one of them is wrong; the message names the class.
    """
    what, own = dotted_name(definition), vars(definition)
    try:
        queue(definition.default_queue, f"default_queue of {what}")
        if "priority" in own:
            stored_priority(own["priority"], f"priority of {what}")
    except InvalidJobData as error:
        raise IncompleteJobType(str(error)) from error
    retries = own.get("max_retries")
    if retries is not None and (type(retries) is not int or retries < 0):
        expected = f"expected max_retries of {what} to be a whole number, at least 0, or None"
        raise IncompleteJobType(f"{expected}, got {json_data.shown(retries)}")


def _check_function(function: object, expected: str) -> None:
    if not (callable(function) or (isinstance(function, str) and "." in function.strip("."))):
        raise IncompleteJobType(f"expected {expected}, got {json_data.shown(function)}")
    if lazy := laziness(function):
        raise IncompleteJobType(f"expected {expected}, run by a call, got {lazy}: {json_data.cut_repr(function)}")
