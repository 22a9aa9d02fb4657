"""Write the log of scripts: standard error and, if requested, a file; Launchpad's format, UTC (LP-16).

A log that cannot be written, as on a full disk, never stops a run.
"""

from __future__ import annotations

import copy
import errno
import logging
import os
import sys
import time
from contextlib import nullcontext

from jobcron.reports.complaints import Discarded as Discarded
from jobcron.reports.complaints import complain as complain
from jobcron.reports.complaints import give_up_standard_error
from jobcron.reports.complaints import visible as visible
from jobcron.settings.directories import append_to, open_log
from jobcron.settings.secrets import redactor

FORMAT = "%(levelname)-7s %(message)s"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

NO_OOPS = {"oops_id": None}
"""The ``extra`` of a record that must not become an OOPS report: none is needed, or there is one already."""


class Formatter(logging.Formatter):
    """Formats a record in UTC, with control characters made visible: a job's fields may hold any.

    Records come from jobs and libraries as well: secrets are hidden here, whatever their source.
    """

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text, without secrets."""
        # why: decisions 2026-11-25, secrets are hidden in every line of the log
        return visible(redactor().text(super().format(_in_one_line(record))))


def _in_one_line(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record whose arguments begin no line, unless its text does: they could fake other records."""
    text = str(record.msg)
    if not record.args or "\n" in text or "\n" not in (message := record.getMessage()):
        return record
    flat = copy.copy(record)
    flat.msg, flat.args = message.replace("\n", "\\n"), None
    return flat


def somebody_looks() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


class StandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes records to standard error while it accepts them; on a terminal, with a status line below."""

    _status = ""

    def is_terminal(self) -> bool:
        """Return whether the output is a terminal that can clear a line."""
        terminal = os.environ.get("TERM", "dumb")
        return self.stream is not None and self.stream.isatty() and terminal != "dumb"

    def show_status(self, text: str) -> None:
        """Replace the status line; an empty text removes it. For terminals only."""
        with self.lock or nullcontext():
            if text or self._status:
                self._write_status(text)
            self._status = text

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record above the status line."""
        if self._status:
            self._write_status("")
        super().emit(record)
        if self._status:
            self._write_status(self._status)

    def _write_status(self, text: str) -> None:
        # The cursor stays at the beginning of the line: any other output overwrites it.
        try:
            width = os.get_terminal_size(self.stream.fileno()).columns or 80
            self.stream.write(f"\x1b[K{visible(text)[: width - 1]}\r")
            self.stream.flush()
        except OSError:
            give_up_standard_error()
            self.stream = sys.stderr
            self._status = ""

    def handleError(self, record: logging.LogRecord) -> None:
        """Stop using standard error if it cannot be written."""
        if isinstance(sys.exc_info()[1], OSError):
            give_up_standard_error()
            self.stream = sys.stderr
        else:
            super().handleError(record)


class LogFile(logging.Handler):
    """Appends records to a file, each in one write; logrotate may rename or remove the file meanwhile.

    Args:
        path: the file; its folder is created if necessary, for this user alone.
        what: the option that names it, for messages.

    Raises:
        DirectoryError: it cannot be opened.
    """

    def __init__(self, path: str, what: str) -> None:
        self.path = os.path.abspath(path)
        self._is_told = False
        self._descriptor = open_log(self.path, what)
        super().__init__()  # last: from now on the end of the process closes it

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; if that fails, say so once on standard error."""
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
            self._follow()
            if os.write(self._descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what the next write would have raised
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                complain(f"jobcron: the log file {self.path} cannot be written: {error.strerror}")
        except Exception:
            self.handleError(record)

    def _follow(self) -> None:
        """Open the file again if the path now leads to another one, or if a job has closed it."""
        try:
            open_file = os.fstat(self._descriptor)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            self._descriptor = append_to(self.path)
            return
        try:
            is_same = os.path.samestat(open_file, os.lstat(self.path))
        except FileNotFoundError:
            is_same = False
        if not is_same:
            descriptor = append_to(self.path)
            os.close(self._descriptor)
            self._descriptor = descriptor

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


def _format(name: str | None) -> str:
    """Return the format of records, those of one of several instances with its name."""
    return FORMAT if name is None else FORMAT.replace("%(message)s", f"{name.replace('%', '%%')}: %(message)s")


def set_up_log(level: int, with_time: bool, name: str | None = None) -> logging.Logger:
    """Send the log to standard error, and return the root logger.

    Args:
        level: records below it are not shown.
        with_time: whether lines begin with date and time; in the testrunner instance they do not.
        name: what tells this log from others that go to the same place.
    """
    text = f"%(asctime)s {_format(name)}" if with_time else _format(name)
    handler = StandardError(sys.stderr)
    handler.setFormatter(Formatter(text, TIME_FORMAT))
    handler.setLevel(level)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    return root


def add_log_file(level: int, path: str, what: str, name: str | None = None) -> None:
    """Write the log to a file as well, with date and time.

    Args:
        level: records below it are not written.
        path: the file.
        what: the option that names it, for messages.
        name: as for `set_up_log`.

    Raises:
        DirectoryError: it cannot be opened.
    """
    handler = LogFile(path, what)
    handler.setFormatter(Formatter(f"%(asctime)s {_format(name)}", TIME_FORMAT))
    handler.setLevel(level)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(min(level, root.level))
