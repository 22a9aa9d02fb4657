"""Check that the keys of a schedule go together, wherever they were given."""

from __future__ import annotations

from collections.abc import Callable

from jobcron.settings.datatypes import Place
from jobcron.settings.settings import Schedule

SKIP_GRACE = 600.0
"""With ``missed: skip``, how many seconds late a slot may be unless the schedule says otherwise."""


def checked(schedule: Schedule, place: Callable[[str], Place]) -> Schedule:
    """Return a schedule with its defaults, if its keys go together.

    Args:
        schedule: each of its values is valid.
        place: returns where a key stands.

    Raises:
        ConfigurationError: they do not.
    """
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
