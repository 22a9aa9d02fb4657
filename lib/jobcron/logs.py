"""The log of scripts: standard error, Launchpad's format, UTC (LP-16)."""

from __future__ import annotations

import logging
import sys
import time

FORMAT = "%(levelname)-7s %(message)s"

_HIDDEN = (
    *range(0x20),  # control characters: a terminal obeys them
    *range(0x7F, 0xA0),
    0x200E,  # marks, separators and the like that change what is seen without being seen
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
)
_ESCAPES = {c: f"\\x{c:02x}" if c < 0x100 else f"\\u{c:04x}" for c in _HIDDEN if chr(c) not in "\n\t"}


def visible(text: str) -> str:
    """Return `text` with characters that a terminal obeys, or does not show, written as escapes."""
    return text.translate(_ESCAPES)


class Formatter(logging.Formatter):
    """Formats a record in UTC, with control characters made visible: a job's fields may hold any."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        return visible(super().format(record))


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
