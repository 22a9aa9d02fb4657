"""The log of scripts: standard error, Launchpad's format, UTC (LP-16)."""

from __future__ import annotations

import logging
import sys
import time

FORMAT = "%(levelname)-7s %(message)s"

_CONTROL = {c: f"\\x{c:02x}" for c in (*range(32), 127) if chr(c) not in "\n\t"}


class Formatter(logging.Formatter):
    """Formats a record in UTC, with control characters made visible: a job's fields may hold any."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        return super().format(record).translate(_CONTROL)


def set_up_log(level: int, with_time: bool) -> logging.Logger:
    """Send the log to standard error, and return the root logger.

    Args:
        level: nothing below is shown.
        with_time: whether lines begin with date and time; the testrunner instance leaves them out.
    """
    text = f"%(asctime)s {FORMAT}" if with_time else FORMAT
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(text, "%Y-%m-%d %H:%M:%S"))
    handler.setLevel(level)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    return root
