"""OOPS reports: what failed, where, and with what (LP-25).

Reports are made with python-oops and written by a publisher of our own, which keeps causes, never merges two
reports, and whose files people and ``jq`` can read: ``error_dir/YYYY-MM-DD/OOPS-…``, JSON, one report each.
"""

from __future__ import annotations

import json
import os
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import oops as python_oops

from jobcron.directory import private_directory
from jobcron.errors import ConfigurationError, DirectoryError
from jobcron.redact import Redactor, cut, printed, storable

MAX_TEXT = 100_000

Publisher = Callable[[dict[str, Any]], list[str]]


class DateDirectory:
    """A publisher that writes each report to a file of its own, in a folder per day.

    Args:
        root: the folder of all reports; made if need be, for this user alone.
        what: what the folder is, for messages.
    """

    def __init__(self, root: str | Path, what: str = "the OOPS directory") -> None:
        self.root = Path(root)
        self.what = what

    def __call__(self, report: dict[str, Any]) -> list[str]:
        """Write a report; one with the same id that is there already is left as it is.

        Raises:
            OSError, DirectoryError: it could not be written.
        """
        day = report["time"].strftime("%Y-%m-%d")
        private_directory(self.root, self.what)
        folder = self.root / day
        private_directory(folder, self.what)
        path = folder / report["id"]
        text = json.dumps(_readable(report), indent=2, ensure_ascii=False, default=str) + "\n"
        # The file appears whole or not at all: link() fails where the name is taken.
        temporary = folder / f".{report['id']}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(storable(text).encode())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
        _sync_folder(folder)
        return [report["id"]]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _readable(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report with its traceback as a list of lines: JSON has no line breaks in texts."""
    shown = dict(report)
    shown["time"] = report["time"].isoformat()
    shown["tb_text"] = str(report.get("tb_text", "")).splitlines()
    return shown


class ErrorUtility:
    """Makes reports and publishes them; one per process (`globalErrorUtility`).

    Attributes:
        config: the python-oops configuration; add publishers, hooks and filters there.
        redactor: hides secrets in all that is published.
    """

    def __init__(self) -> None:
        self.config = python_oops.Config()
        self.redactor = Redactor()
        self.error_dir: str | None = None
        self.prefix = ""
        self.section_name: str | None = None
        self._messages: list[dict[str, object]] = []

    def configure(self, section_name: str | None = None, settings: Any = None) -> None:
        """Take prefix and directory from the configuration, those of a section where it has its own (LP-26).

        Args:
            section_name: the section; None: those of ``[jobcron]``.
            settings: the settings; None: those of the instance that `load_settings` finds.

        Raises:
            ConfigurationError: no such section.
        """
        from jobcron.instance import load_settings

        settings = settings or load_settings()
        section = settings.section(section_name) if section_name else None
        self.section_name = section_name
        self.prefix = (section and section.oops_prefix) or settings.oops_prefix
        self.error_dir = (section and section.error_dir) or settings.error_dir
        self.config = python_oops.Config()
        reporter = self.prefix + (f"-{section_name}" if section_name else "")
        self.config.template["reporter"] = reporter
        place = settings.place("error_dir")
        if section and section.error_dir:
            place = f"{settings.path}: section [{section.name}], key error_dir"
        self.config.publisher = DateDirectory(str(self.error_dir), f"{place}: the OOPS directory")
        self.redactor = Redactor(settings.secrets())

    @contextmanager
    def oopsMessage(self, message: dict[str, object]) -> Iterator[None]:
        """Let reports made inside the block carry `message` among their variables."""
        self._messages.append(message)
        try:
            yield
        finally:
            self._messages.pop()

    def make_report(
        self, error: BaseException, oops_id: str, variables: list[tuple[str, object]], **more: Any
    ) -> dict[str, Any]:
        """Return a report of an error, not published yet.

        Args:
            error: what happened, with its traceback, causes and contexts.
            oops_id: the report's id.
            variables: names and values to show.
            more: further entries, such as ``duration`` and ``timeline``.
        """
        report: dict[str, Any] = self.config.create({})
        report.setdefault("time", datetime.now(UTC))
        shown = [(k, v) for message in self._messages for k, v in message.items()]
        report.update(
            type=type(error).__name__,
            value=cut(self.redactor.text(message_of(error)), MAX_TEXT),
            tb_text=cut(self.redactor.text(traceback_of(error)), MAX_TEXT),
            req_vars=self.redactor.value(dict((*shown, *variables))),
            **{k: self.redactor.value(v) for k, v in more.items()},
        )
        report["id"] = oops_id
        return report

    def publish(self, report: dict[str, Any]) -> str | None:
        """Publish a report and return its id, or None where a filter dropped it.

        Raises:
            Exception: what the publishers raised; nothing is swallowed.
        """
        if self.config.publisher is None and not self.config.publishers:
            raise ConfigurationError("expected a publisher of OOPS reports, none is configured")
        oops_id = report["id"]
        ids = self.config.publish(report)
        if ids is None:
            return None
        if not ids:
            raise DirectoryError(f"no publisher took the OOPS report {oops_id}")
        report["id"] = oops_id
        return str(oops_id)

    def raising(self, info: Any = None, request: Any = None) -> dict[str, Any] | None:
        """Report an error that belongs to no job, and return the report (LP-26).

        Args:
            info: as of `sys.exc_info()`, or an exception.
            request: an object with ``items()``: further variables.
        """
        error = info[1] if isinstance(info, tuple) else info
        variables = list(request.items()) if request is not None else []
        moment = f"{datetime.now(UTC):%H%M%S}-{uuid.uuid4().hex[:8]}"
        report = self.make_report(error, f"OOPS-{self.prefix}-{moment}", variables)
        return report if self.publish(report) else None


globalErrorUtility = ErrorUtility()


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error with its causes, whatever its ``__str__`` does."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception as failure:
        lines = traceback.format_tb(error.__traceback__)
        return "".join([*lines, f"{printed(error)} (its traceback failed: {printed(failure)})\n"])


def message_of(error: BaseException) -> str:
    """Return an error's message, whatever its ``__str__`` does."""
    try:
        return str(error)
    except Exception:
        return printed(error)
