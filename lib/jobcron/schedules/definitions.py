"""Schedules beside a class or a function, in Python; and all that an instance defines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from jobcron.database.trouble import first_line
from jobcron.errors import ConfigurationError, InvalidJobData, UnknownJobType
from jobcron.functions.creating import check_arguments
from jobcron.functions.registered import registered_function
from jobcron.jobs.arguments.encoding import encode
from jobcron.settings.datatypes import CONVERTERS, Place
from jobcron.settings.durations import Duration, as_configured, seconds_of
from jobcron.settings.keys_together import checked_schedule
from jobcron.settings.named import dotted_name
from jobcron.settings.reading import keys_of_schedules
from jobcron.settings.settings import LEAST_NAME, SECTION_NAME, Schedule, Settings

HAND = "the command line"
"""The origin of schedules that an operator made."""


class Definition(NamedTuple):
    """A schedule, and where it is defined.

    Attributes:
        schedule: the schedule.
        origin: where, as the row says.
    """

    schedule: Schedule
    origin: str


class Problem(NamedTuple):
    """Why a schedule could not create its jobs.

    Attributes:
        key: the key of the schedule that is wrong.
        text: what is wrong with it.
    """

    key: str
    text: str


class Defined(NamedTuple):
    """What an instance defines.

    Attributes:
        definitions: its schedules.
        origins: how rows name the places where it defines schedules, or named them before.
        interval: its `activity_interval`, in seconds: so often each of its sections looks at the rows at least.
    """

    definitions: list[Definition]
    origins: frozenset[str]
    interval: float


_schedules: dict[str, Schedule] = {}


def add_schedule(
    name: str,
    job: type[object] | Callable[..., object] | str,
    *,
    cron: str | None = None,
    every: Duration | None = None,
    time_zone: str = "UTC",
    arguments: Mapping[str, object] | None = None,
    missed: str = "once",
    missed_grace: Duration | None = None,
    missed_bound: int = 100,
    overlap: str = "skip",
    enabled: bool = True,
    renamed_from: str | None = None,
) -> None:
    """Define a schedule in a module that the application imports.

    Args:
        name: the schedule's name, unique in the instance.
        job: a job class, a function that jobs may call, or the name of either.
        arguments: the arguments of the job, by name.
        cron, every, time_zone, missed, missed_grace, missed_bound, overlap, enabled, renamed_from: see
            docs/reference/configuration.md.

    Raises:
        ConfigurationError: a value is invalid or does not go with another one, or another schedule has the name.
    """
    texts = {
        "cron": cron,
        "every": None if every is None else f"{seconds_of('every', every):g}s",
        "time_zone": time_zone,
        "missed": missed,
        "missed_grace": None if missed_grace is None else f"{seconds_of('missed_grace', missed_grace):g}s",
        "missed_bound": str(missed_bound),
        "overlap": overlap,
        "enabled": str(bool(enabled)).lower(),
        "renamed_from": renamed_from,
        "job": job if isinstance(job, str) else _name_of(job),
        "arguments": json.dumps(encode(dict(arguments or {}), f"arguments of the schedule {name}")),
    }
    found = schedule_of(name, texts, f"add_schedule({name!r})")
    known = _schedules.get(name)
    if known is not None and known.job != found.job:
        raise ConfigurationError(f"add_schedule({name!r}): expected one schedule of this name, got two")
    _schedules[name] = found


def times_of(cron: str | None, every: int | None) -> str:
    """Return when a schedule is due, as its configuration says it; it has one of both."""
    return cron or f"every {as_configured(every or 0)}"


def schedule_of(name: str, texts: Mapping[str, str | None], origin: str) -> Schedule:
    """Return the schedule that texts describe, as they stand in a configuration; None: a key is not given.

    Args:
        name: the schedule's name.
        texts: the values, by key.
        origin: where they were given, for messages.

    Raises:
        ConfigurationError: see `add_schedule`.
    """
    keys = keys_of_schedules()
    if not SECTION_NAME.fullmatch(name) or len(name) < LEAST_NAME:
        expected = f"a letter, then letters, digits, _ and -, {LEAST_NAME} to 64 in all"
        raise _Given(origin, name, "name").refuse(expected, name)
    values = {
        key: CONVERTERS[keys[key].datatype](text, _Given(origin, name, key))
        for key, text in texts.items()
        if text is not None
    }
    make = cast("Callable[..., Schedule]", Schedule)  # the values are of the types that the schema says
    return checked_schedule(make(name, **values), lambda key: _Given(origin, name, key))


def defined_by(settings: Settings) -> Defined:
    """Return what an instance defines, whose application is imported.

    Raises:
        ConfigurationError: configuration and code have schedules of the same name.
    """
    origins = frozenset({*origins_of(settings), former_origin(settings)})
    return Defined(definitions_of(settings), origins, settings.activity_interval)


def definitions_of(settings: Settings) -> list[Definition]:
    """Return all schedules of an instance, whose application is imported.

    Raises:
        ConfigurationError: configuration and code have schedules of the same name.
    """
    twice = sorted(settings.schedules.keys() & _schedules.keys())
    if twice:
        raise ConfigurationError(
            f"{settings.path}: section [schedule:{twice[0]}]: expected a name that no schedule in code has, "
            "got one that add_schedule defines"
        )
    configured, coded = origins_of(settings)
    return [
        *(Definition(schedule, configured) for schedule in settings.schedules.values()),
        *(Definition(schedule, coded) for schedule in _schedules.values()),
    ]


def problem_of(schedule: Schedule) -> Problem | None:
    """Return why this application could not create a schedule's jobs, or None."""
    try:
        check_arguments(schedule.job, json.loads(schedule.arguments))
    except UnknownJobType as error:
        return Problem("job", first_line(error))
    except InvalidJobData as error:
        return Problem("arguments", first_line(error))
    return None


def origins_of(settings: Settings) -> tuple[str, str]:
    """Return how rows name the two places in which an instance defines schedules: configuration and code."""
    # why: decisions 2026-11-30, a schedule is retired when nobody confirms it
    application = "" if settings.application is None else f" of {settings.application}"
    return f"{former_origin(settings)}{application}", f"the code of {settings.application}"


def former_origin(settings: Settings) -> str:
    """Return how rows named the configuration before they named its application."""
    return f"the configuration {settings.instance}"


def coded_names() -> frozenset[str]:
    """Return the names of the schedules of the code that is imported."""
    return frozenset(_schedules)


class _Given(Place):
    """Where a value stands that is not in a file."""

    def __str__(self) -> str:
        return f"{self.path}: {self.key}"


def _name_of(job: type[object] | Callable[..., object]) -> str:
    return dotted_name(job) if isinstance(job, type) else registered_function(job).name
