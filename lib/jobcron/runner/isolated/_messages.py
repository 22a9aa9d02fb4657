"""What a child says to its parent: lines of JSON, each of one kind.

A child runs the application's code, which can write to the socket as well. A line that is none of these messages
ends that child, and its job as `ProcessDied`. A message is believed for what is logged, counted and measured, and
may end the run; whether a job has completed is the row's to say, and is looked up there.
"""

from __future__ import annotations

import json
from types import NoneType
from typing import Any

MAX_BYTES = 1 << 22
"""The longest message; `jobcron.runner.isolated._log_records` cuts what is logged."""

MAX_SHOWN = 100

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
    "trouble": {"text": str, "status": int},
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
    },
}
"""The kinds, ``{"kind": …}``, and what each says."""


class BadMessage(ValueError):
    """A child said what is no message, or is not true."""


def message_of(line: bytes) -> dict[str, Any]:
    """Return the message of a line.

    Raises:
        BadMessage: it is none.
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
