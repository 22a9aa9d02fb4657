"""The options of a function's jobs, checked when it is decorated; `delay` can override them (OCQ-02)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from jobcron.errors import InvalidDuration, InvalidJobData
from jobcron.jobs.arguments.json_data import shown
from jobcron.jobs.arguments.row_values import check_row_values
from jobcron.settings.durations import Duration, seconds_of
from jobcron.settings.suggestions import suggestion

DEFAULT_MAX_RETRIES = 5
"""The connector's default: five runs (OCQ-02)."""

Wait = Duration | tuple[Duration, Duration]
"""A timedelta or seconds; or two of them, between which each wait is chosen at random, as in today's queue_job."""


@dataclass(frozen=True)
class Options:
    """The options of a function's jobs; `delay` can override them.

    Attributes:
        priority: the priority of the jobs; the lowest runs first (OCQ-02).
        max_retries: how often a job may run, the first run included; 0: no limit.
        retry_pattern: waits before a retry, by the number of runs from which on each wait applies (OCQ-04).
        description: what the jobs are about, for people; by default the first line of the docstring.
        database_only: whether the function has no side effects outside its job's database.
        group_commit: whether its jobs may share a transaction with others: short ones that are `database_only`.
        channel: the channel of its jobs (OCQ-10); None: the channel of the section that runs them, if it has one.
    """

    priority: int = 10
    max_retries: int = DEFAULT_MAX_RETRIES
    retry_pattern: Mapping[int, Wait] = field(default_factory=dict)
    description: str | None = None
    database_only: bool = False
    group_commit: bool = False
    channel: str | None = None

    def row_values(self) -> dict[str, object]:
        """Return the values for a job's row."""
        values: dict[str, object] = {"priority": self.priority, "max_retries": stored_retries(self.max_retries)}
        return values if self.channel is None else {**values, "channel": self.channel}

    def wait(self, runs: int) -> timedelta | None:
        """Return how long to wait after `runs` runs; None if the ``retry_pattern`` does not say."""
        reached = [number for number in self.retry_pattern if number <= runs]
        if not reached:
            return None
        wait = self.retry_pattern[max(reached)]
        least, most = wait if isinstance(wait, tuple | list) else (wait, wait)
        return timedelta(seconds=random.uniform(seconds_of("wait", least), seconds_of("wait", most)))


ONCE = Options(max_retries=1)
"""For functions that were registered without options: django-future runs a job once."""


def options_of(name: str, given: Mapping[str, Any]) -> Options:
    """Check the options that were given for a function, and return them as `Options`.

    Args:
        name: the function's name, for messages.
        given: the options, by name.

    Raises:
        InvalidJobData: an option is unknown, or its value does not fit.
    """
    known = [option.name for option in fields(Options)]
    if "default_channel" in given and "channel" not in given:  # the connector's word
        given = {"channel" if key == "default_channel" else key: value for key, value in given.items()}
    unknown = sorted(given.keys() - set(known))
    if unknown:
        hint = suggestion(unknown[0], known)
        raise InvalidJobData(f"expected options that @job has, {', '.join(known)}, got {', '.join(unknown)}{hint}")
    options = Options(**given)
    if options.priority is None:  # a row's values may be None, which means "not given"
        raise InvalidJobData(f"expected priority of {name} to be a whole number, got None")
    check_row_values(name, {"description": options.description, **options.row_values()})
    for flag in ("database_only", "group_commit"):
        value = vars(options)[flag]
        if not isinstance(value, bool):
            raise InvalidJobData(f"expected {flag} of {name} to be True or False, got {value!r}")
    if options.group_commit:
        _check_group(name, options)
    _check_pattern(name, options.retry_pattern)
    return options


def _check_group(name: str, options: Options) -> None:
    if not options.database_only:
        raise InvalidJobData(
            f"expected {name}, which has group_commit, to have database_only=True as well: when one job of a "
            "group fails, the others are rolled back and run again"
        )
    if options.channel is not None:
        raise InvalidJobData(
            f"expected {name}, which has group_commit, to have no channel: what runs in a channel is counted, and "
            "a group has many jobs at once"
        )


def stored_retries(runs: int) -> int | None:
    """Return the number of retries for a number of runs, as rows store it; 0 runs means no limit (OCQ-02).

    Raises:
        InvalidJobData: `runs` is not a valid number of runs.
    """
    if isinstance(runs, bool) or not isinstance(runs, int) or runs < 0:
        raise InvalidJobData(f"expected max_retries to be a whole number, 0 or greater, got {shown(runs)}")
    return None if runs == 0 else runs - 1


def _check_pattern(name: str, pattern: object) -> None:
    if not isinstance(pattern, Mapping):
        raise InvalidJobData(f"expected retry_pattern of {name} to be a dict, got {shown(pattern)}")
    for runs, wait in pattern.items():
        if isinstance(runs, bool) or not isinstance(runs, int) or runs < 1:
            raise InvalidJobData(
                f"expected the keys of retry_pattern of {name} to be numbers of runs, from 1 on, got {shown(runs)}"
            )
        if not _is_wait(wait):
            raise InvalidJobData(
                f"expected retry_pattern[{runs}] of {name} to be seconds or a timedelta, or a pair of the "
                f"shortest and the longest wait, got {shown(wait)}"
            )


def _is_wait(wait: object) -> bool:
    bounds = wait if isinstance(wait, tuple | list) else (wait, wait)
    try:
        least, most = (seconds_of("wait", bound) for bound in bounds)
    except (ValueError, InvalidDuration):  # not two; or nonsense
        return False
    return least <= most
