"""Attributes of jobs whose values are elsewhere: in the shared row, or not loaded yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from jobcron.jobs._job_class import JobClass

J = TypeVar("J")

_LOAD = "_load_context"


class Delegated:
    """An attribute whose value is in the shared row."""

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.name = name

    def __get__(self, instance: JobClass | None, owner: type[JobClass]) -> object:
        """Return the row's value; on the class, return this descriptor."""
        return self if instance is None else getattr(instance.job, self.name)

    def __set__(self, instance: JobClass, value: object) -> None:
        """Set the row's value; the row refuses values that only the runner writes."""
        setattr(instance.job, self.name, value)


def delegated() -> Any:
    """Return a `Delegated`, for any declared type."""
    return Delegated()


class Awaited:
    """The attribute ``context`` of a job that `awaiting` has made: the first use loads it.

    A job that has its context, as nearly all have, has it in its own dictionary, where Python looks before this.
    """

    def __get__(self, job: object, owner: type[object]) -> object:
        """Load the context, and keep it; on the class, return this descriptor."""
        if job is None:
            return self
        load: Callable[[], object] | None = vars(job).pop(_LOAD, None)
        if load is None:
            raise AttributeError(f"{owner.__name__} has no context: its __init__ calls no super().__init__")
        load()  # which sets it
        return vars(job)["context"]


def awaiting(job_class: type[J], load: Callable[[J], object]) -> J:
    """Return a job whose context is loaded when it is first used.

    Args:
        job_class: the job's class, with no ``__init__`` of its own.
        load: calls the job's ``__init__``.
    """
    job = object.__new__(job_class)
    values = vars(job)
    values["attempt"], values["loaded"], values[_LOAD] = None, [], lambda: load(job)
    return job
