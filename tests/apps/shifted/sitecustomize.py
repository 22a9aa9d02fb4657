"""Set the clock of a process ahead by CLOCK_AHEAD seconds: Python's own functions, not what a program reads in C.

Python imports it at its start where it is on the path. `time.clock_gettime` stays as it is, for tests.
"""

from __future__ import annotations

import datetime
import os
import time
from typing import Any

AHEAD = float(os.environ.get("CLOCK_AHEAD", "0"))

_datetime, _time, _time_ns = datetime.datetime, time.time, time.time_ns


class _AnyDatetime(type):
    """Takes all datetimes for ours: drivers make them of the class that was there before."""

    def __instancecheck__(cls, found: object) -> bool:
        return isinstance(found, _datetime)


class _Ahead(_datetime, metaclass=_AnyDatetime):  # type: ignore[misc, valid-type]
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return _datetime.now(tz) + datetime.timedelta(seconds=AHEAD)

    @classmethod
    def utcnow(cls) -> Any:
        return _datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=AHEAD)


def _of_now(function: Any) -> Any:
    """Return a function of a time that is, left out, that of our clock."""
    return lambda seconds=None: function(time.time() if seconds is None else seconds)


if AHEAD:
    datetime.datetime = _Ahead  # type: ignore[misc]
    time.time = lambda: _time() + AHEAD
    time.time_ns = lambda: _time_ns() + int(AHEAD * 1e9)
    time.gmtime, time.localtime = _of_now(time.gmtime), _of_now(time.localtime)
