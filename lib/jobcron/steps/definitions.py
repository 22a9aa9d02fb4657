"""Definitions of jobs of several tasks, from the configuration and from code, found by name (DBQ-01).

A section of jobs with the key ``tasks`` is a definition; the section's name is the definition's.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, cast

from jobcron.errors import ConfigurationError, DuplicateJobType, IncompleteJobType
from jobcron.jobs import registry
from jobcron.settings.instance import load_settings
from jobcron.settings.settings import Section, Settings
from jobcron.steps._checks import HOOKS, check_options
from jobcron.steps._job import StepsJob
from jobcron.steps._tasks import Task

FAMILY = "steps"

SECTIONS = "jobcron.steps.sections"
"""The module whose attributes are the classes of sections, as a section's source."""


def define(name: str, tasks: Sequence[Task] | None = None, **options: object) -> type[StepsJob]:
    """Define jobs of several tasks, and return their class.

    Args:
        name: the name of the jobs.
        tasks: functions or their dotted names, in order; None: they are added with the class's decorator `task`.
        options: hooks, and other attributes of the class, such as ``max_retries``.

    Raises:
        IncompleteJobType: a part of the definition is wrong.
        DuplicateJobType: another definition has the name.
    """
    if tasks is not None and not tasks:
        raise IncompleteJobType(f"expected {name} to have tasks, it has none")
    check_options(name, options, StepsJob)
    module = sys._getframe(1).f_globals.get("__name__", "__main__")
    attributes = {"__module__": module, **options}
    return _make_class(name, () if tasks is None else tasks, attributes, re.sub(r"\W", "_", str(name)))


def _make_class(
    name: str, tasks: Sequence[Task], attributes: dict[str, object], class_name: str
) -> type[StepsJob]:
    made: type[StepsJob] = type(StepsJob)(class_name, (StepsJob,), {**attributes, "name": name, "tasks": tasks})  # type: ignore[misc]
    return made


def define_configured(settings: Settings) -> None:
    """Create the classes of all sections that list tasks; their modules are imported when needed.

    Raises:
        ConfigurationError: code has defined such jobs as well.
    """
    for section in settings.sections.values():
        if section.tasks is not None:
            _class_of(settings, section)


def _class_of(settings: Settings, section: Section) -> type[StepsJob]:
    place = f"{settings.path}: section [{section.name}]"
    attributes = {key: getattr(section, key) for key in HOOKS}
    attributes["default_queue"] = section.queue or StepsJob.default_queue
    attributes["__module__"], attributes["defined_in"] = SECTIONS, f"{place}, key tasks"
    try:
        return _make_class(section.name, section.tasks or (), attributes, section.name)
    except (DuplicateJobType, IncompleteJobType) as error:
        raise ConfigurationError(f"{place}, key tasks: {error}") from error


def job_class(name: str, settings: Settings | None = None) -> type[StepsJob]:
    """Return the class of the jobs called `name`.

    Args:
        name: the name of the definition.
        settings: the instance's settings; None: those of the current script, or of JOBCRON_CONFIG.

    Raises:
        UnknownJobType: there is no definition with this name.
        ConfigurationError: the configuration cannot be read.
    """
    found = registry.registered().get(f"{FAMILY}.{name}")
    if found is None:
        define_configured(settings or load_settings())
        found = registry.class_of(f"{FAMILY}.{name}")
    return cast("type[StepsJob]", found)


def job_classes() -> dict[str, type[StepsJob]]:
    """Return all definitions of this process, by name."""
    return {c.name: c for c in registry.registered().values() if issubclass(c, StepsJob)}


def create(name: str, **values: Any) -> StepsJob:
    """Create a job by the name of its definition: see `StepsJob.create`.

    Raises:
        UnknownJobType: there is no definition with this name.
        InvalidJobData: a value does not fit.
    """
    return job_class(name).create(**values)
