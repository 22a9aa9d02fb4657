"""The messages between parent and child: lines of JSON; a child's messages are of fixed kinds.

A child runs the application's code, which can also write to the socket. A line that is not a valid message ends
that child, and its job's attempt with `ProcessDied`. Messages are trusted for logs, counts and measurements, and
may end the run. Whether a job has completed is always checked in its row.
"""

from __future__ import annotations

import json
import os
import sys
from types import NoneType
from typing import Any

from jobcron.database.database import Database
from jobcron.errors import ConfigurationError, DatabaseUnavailable, DatabaseUnusable, UserMistake
from jobcron.jobs import registry
from jobcron.reports.alarm import alarm_level
from jobcron.runner.source_runner import SourceRunner
from jobcron.settings.instance import load_settings

MAX_BYTES = 1 << 22
"""The longest message, in bytes; `jobcron.runner.isolated._log_records` cuts log records."""

MAX_SHOWN = 100

Message = dict[str, Any]

Shape = dict[str, type | tuple[type, ...]]

KINDS: dict[str, Shape] = {
    "ready": {},
    "started": {},
    "running": {},
    "over": {"cleans_up": bool},
    "done": {
        "is_completed": bool,
        "oops_ids": list,
        "outcome": (str, NoneType),
        "seconds": (float, int, NoneType),
    },
    "trouble": {"text": str, "error": str},
    "log": {
        "text": str,
        "name": str,
        "level": int,
        "path": str,
        "line": int,
        "function": (str, NoneType),
        "traceback": (str, NoneType),
        "is_shown": bool,
        "stack": (str, NoneType),
        "is_told": bool,
        "job": dict,
        "variables": dict,
    },
}
"""The kinds, ``{"kind": …}``, and the fields of each."""


TROUBLES: dict[str, type[UserMistake]] = {
    kind.__name__: kind for kind in (ConfigurationError, DatabaseUnavailable, DatabaseUnusable)
}
"""The errors of a child that end the run as they are; any other ends it as DatabaseUnavailable."""


class BadMessage(ValueError):
    """A child sent something that is not a message, or is not true."""


def parsed(line: bytes) -> Message:
    """Parse a line into a message.

    Raises:
        BadMessage: the line is not a message.
    """
    try:
        message = json.loads(line)
        shape = KINDS[message["kind"]]
        is_well = all(isinstance(message[name], kind) for name, kind in shape.items())
    except (ValueError, TypeError, LookupError, RecursionError):
        is_well = False
    if not is_well:
        raise BadMessage(f"expected a message, got {line[:MAX_SHOWN]!r}")
    return dict(message)


def trouble_of(message: Message) -> UserMistake:
    """Return the error with which a child could not go on."""
    return TROUBLES.get(message["error"], DatabaseUnavailable)(message["text"])


def order_of(runner: SourceRunner, database: Database) -> Message:
    """Return the parent's first message, the child's order; see `jobcron.runner.isolated._program`.

    Raises:
        ConfigurationError: no other process can find the source.
    """
    return {
        "path": [os.path.abspath(folder) for folder in sys.path],
        "config": load_settings().path,
        "database_url": database.url,
        "user": database.user,
        "origin": database.origin,
        "section": runner.reporter.utility.section_name,
        "source": registry.address_of(runner.source),
        "level": runner.logger.getEffectiveLevel(),
        "crash_limit": runner.limits.crash_limit,
        "alarm_level": alarm_level(runner.logger),
        "grace_seconds": runner.limits.grace_seconds,
        "wait_for_code": runner.limits.wait_for_code,
    }
