"""Check that the keys of a schedule, or of a section, go together, wherever they were given."""

from __future__ import annotations

from collections.abc import Callable

from jobcron.settings.datatypes import Place
from jobcron.settings.settings import Schedule, Section

FUNCTIONS_SOURCE = "jobcron.functions.FunctionJob"

SKIP_GRACE = 600.0
"""With ``missed: skip``, how many seconds late a slot may be unless the schedule says otherwise."""


def checked_schedule(schedule: Schedule, place: Callable[[str], Place]) -> Schedule:
    """Return a schedule with its defaults, if its keys go together.

    Args:
        schedule: each of its values is valid.
        place: returns where a key stands.

    Raises:
        ConfigurationError: they do not.
    """
    if not schedule.job:
        raise place("job").refuse("a job type, a class or a function", "nothing")
    if schedule.cron is None and schedule.every is None:
        raise place("cron").refuse("this key or the key every", "neither")
    if schedule.cron is not None and schedule.every is not None:
        raise place("every").refuse("either this key or the key cron", "both")
    if schedule.cron is None and schedule.time_zone != "UTC":
        raise place("time_zone").refuse("the key cron beside it: an interval is the same everywhere", "every")
    if schedule.missed == "all" and schedule.overlap == "skip":
        raise place("missed").refuse(
            "overlap: wait, or overlap: allow, beside all: of several jobs that are created at once, skip would "
            "leave one",
            "overlap: skip",
        )
    if schedule.renamed_from == schedule.name:
        raise place("renamed_from").refuse("another name than the schedule's own", schedule.name)
    if schedule.missed == "skip" and schedule.missed_grace is None:
        return schedule._replace(missed_grace=SKIP_GRACE)
    return schedule


def checked_section(section: Section, place: Callable[[str], Place]) -> Section:
    """Return a section with the source that its keys say, if they go together.

    Args:
        section: each of its values is valid.
        place: returns where a key stands.

    Raises:
        ConfigurationError: they do not.
    """
    _check_lock(section, place)
    source = _steps_source(section, place)
    return section._replace(source_interface=_functions_source(section, place, source))


def _check_lock(section: Section, place: Callable[[str], Place]) -> None:
    """Check that a section's lock goes with its other keys.

    Raises:
        ConfigurationError: it does not.
    """
    for key in ("lock", "lock_lease"):
        if getattr(section, key) is None:
            raise place(key).refuse("host or cluster" if key == "lock" else "a time of 3s to 1h", "none")
    if section.is_alone_everywhere and section.dispatch is not None:
        raise place("lock").refuse("host beside dispatch, whose receivers run many jobs at once", section.lock)


def _steps_source(section: Section, place: Callable[[str], Place]) -> str | None:
    """Return a section's source; if it lists tasks or names a queue, that of such jobs (DBQ-01, DBQ-08).

    Args:
        section: as it was read.
        place: returns where a key stands.

    Raises:
        ConfigurationError: its keys do not go together.
    """
    for key in ("creation_hook", "failure_hook", "pre_task_hook", "post_task_hook"):
        if getattr(section, key) is not None and section.tasks is None:
            raise place(key).refuse("the key tasks beside it", "none")
    for key in ("tasks", "queue"):
        if getattr(section, key) is not None and section.source_interface is not None:
            raise place(key).refuse("no source_interface beside it", section.source_interface)
    if section.tasks is not None:
        return f"jobcron.steps.sections.{section.name}"
    return section.source_interface if section.queue is None else f"jobcron.steps.queues.{section.queue}"


def _functions_source(section: Section, place: Callable[[str], Place], source: str | None) -> str | None:
    """Return a section's source; that of jobs of functions if it lists functions.

    Args:
        section: as it was read.
        place: returns where a key stands.
        source: the source according to the other keys.

    Raises:
        ConfigurationError: its keys do not go together.
    """
    if section.functions is None:
        return source
    if source not in (None, FUNCTIONS_SOURCE):
        keys = [key for key in ("tasks", "queue", "source_interface") if getattr(section, key) is not None]
        raise place("functions").refuse(f"{FUNCTIONS_SOURCE} as source_interface, or none", f"{keys[0]} beside it")
    return FUNCTIONS_SOURCE
