"""The log of a child: records go over the socket to the parent's log, and are the same there (LP-16, LP-26)."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

from jobcron.reports.alarm import HANDLED, VARIABLES, alarm_level
from jobcron.reports.current_job import carried_by
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.oops import globalErrorUtility, traceback_of
from jobcron.runner.isolated._messages import Message
from jobcron.settings.secrets import cut

MAX_TEXT = 100_000
"""The longest message, and the longest traceback; see `jobcron.runner.isolated._messages.MAX_BYTES`."""

MAX_NAME = 1000


class ToParent(logging.Handler):
    """Sends each record to the parent.

    Args:
        say: sends a message to the parent.
    """

    def __init__(self, say: Callable[..., None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with the error that it carries or that is being handled."""
        try:
            alarming = alarm_level(logging.getLogger())
            # any object: a record of the log
            is_told = hasattr(record, "oops_id") or alarming is None
            is_reported = not is_told and alarming is not None and record.levelno >= alarming
            error = (record.exc_info or sys.exc_info())[1]
            message = {
                "text": cut(record.getMessage(), MAX_TEXT),
                "name": cut(record.name, MAX_NAME),
                "level": record.levelno,
                "path": cut(record.pathname, MAX_NAME),
                "line": record.lineno,
                "function": record.funcName,
                "traceback": error and cut(traceback_of(error), MAX_TEXT),
                "is_shown": bool(record.exc_info),
                "stack": record.stack_info and cut(record.stack_info, MAX_TEXT),
                "is_told": is_told,
                "job": carried_by(record),
                "variables": _variables() if is_reported else {},
            }
        except Exception:
            self.handleError(record)
        else:
            self._say("log", **message)


def record_of(message: Message) -> logging.LogRecord:
    """Return the record in a message of a child's log."""
    record = logging.LogRecord(
        message["name"],
        message["level"],
        message["path"],
        message["line"],
        message["text"],
        (),
        None,
        message["function"],
        message["stack"],
    )
    vars(record).update({HANDLED: message["traceback"], VARIABLES: message["variables"], **message["job"]})
    if message["is_shown"]:
        record.exc_text = (message["traceback"] or "").rstrip("\n")
    if message["is_told"]:
        vars(record).update(NO_OOPS)
    return record


def _variables() -> dict[str, object]:
    """Return the variables for the report of a record, without secrets; too many are left out."""
    told = globalErrorUtility.redactor.value(dict(globalErrorUtility.surrounding_variables()))
    written = json.dumps(told)
    if not isinstance(told, dict) or len(written) > MAX_TEXT:
        return {"variables": f"left out: {len(written)} characters"}
    return told
