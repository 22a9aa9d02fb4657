"""Loggers that do not write to standard error."""

from __future__ import annotations

import logging

from jobcron.reports.logs import FORMAT, Formatter


class DevNullLogger(logging.Logger):
    """A logger that drops all messages, for tests that ignore the log."""

    def __init__(self) -> None:
        super().__init__("jobcron.testing.devnull", logging.CRITICAL + 1)
        self.addHandler(logging.NullHandler())


class BufferLogger(logging.Logger):
    """A logger that keeps the log in memory, in the format of scripts but without times."""

    def __init__(self, level: int = logging.DEBUG) -> None:
        super().__init__("jobcron.testing.buffer", level)
        self.records: list[logging.LogRecord] = []
        handler = _Keeping(self.records)
        handler.setFormatter(Formatter(FORMAT))
        self._kept = handler
        self.addHandler(handler)

    def getLogBuffer(self) -> str:
        """Return the log, one line for each record."""
        return "".join(f"{self._kept.format(record)}\n" for record in self.records)


class _Keeping(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
