"""Check the values of a new job of several tasks, and translate them into jobcron's (DBQ-03, DBQ-06, DBQ-08)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments import json_data
from jobcron.settings.settings import SECTION_NAME

if TYPE_CHECKING:
    from jobcron.jobs.runnable import BaseRunnableJob

DEFAULT_PRIORITY = 10
"""jobcron's value for django-db-queue's priority 0; the lowest is first here, the highest there."""

MAX_PRIORITY = 1_000_000_000
"""The limit; the largest integer of the database's columns is a little higher."""


def stored_priority(priority: object, what: str = "priority") -> int:
    """Return a priority as rows store it.

    Raises:
        InvalidJobData: `priority` is not a valid priority.
    """
    if type(priority) is not int or abs(priority) > MAX_PRIORITY:
        raise InvalidJobData(
            f"expected {what} to be a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}, "
            f"got {json_data.shown(priority)}"
        )
    return DEFAULT_PRIORITY - priority


def due(run_after: object) -> datetime:
    """Return the time before which a job does not run.

    Raises:
        InvalidJobData: `run_after` is not a datetime with a time zone.
    """
    if not isinstance(run_after, datetime) or run_after.tzinfo is None:
        raise InvalidJobData(
            f"expected run_after to be a datetime with a time zone, got {json_data.shown(run_after)}"
        )
    return run_after


def queue(name: object, what: str = "queue_name") -> str:
    """Return the name of a queue after checking it.

    Raises:
        InvalidJobData: a section's key ``queue`` could not have this value, so that nothing could run the job.
    """
    if not isinstance(name, str) or not SECTION_NAME.fullmatch(name):
        raise InvalidJobData(
            f"expected {what} to be a letter, then letters, digits, _ and -, 64 at most, "
            f"got {json_data.shown(name)}"
        )
    return name


def workspace(value: object, what: str) -> dict[str, object]:
    """Return a workspace; None becomes an empty one.

    Raises:
        InvalidJobData: `value` is not a dict.
    """
    if value is not None and not isinstance(value, dict):
        raise InvalidJobData(f"expected {what} to be a dict, got {json_data.shown(value)}")
    return value or {}


def read_json(text: str | bytes) -> object:
    """Parse JSON.

    Raises:
        InvalidJobData: `text` is not JSON, or is nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidJobData(f"expected JSON, got {json_data.cut_repr(text)}: {error}") from error
    except RecursionError:
        raise InvalidJobData(
            f"expected JSON at most {json_data.MAX_LEVELS} levels deep, got {json_data.cut_repr(text)}"
        ) from None


class Priority:
    """The attribute ``priority`` of a job, as in django-db-queue: the highest runs first."""

    def __get__(self, job: BaseRunnableJob | None, owner: type[BaseRunnableJob]) -> object:
        return self if job is None else DEFAULT_PRIORITY - job.job.priority

    def __set__(self, job: BaseRunnableJob, value: int) -> None:
        job.job.priority = stored_priority(value)
