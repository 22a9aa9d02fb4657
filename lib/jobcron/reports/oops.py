"""OOPS reports: what failed, where, and with what (LP-25).

python-oops creates the reports; publishers store or send them (`jobcron.reports._publishers`).
"""

from __future__ import annotations

import sys
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol

import oops as python_oops

from jobcron.errors import ConfigurationError, DirectoryError
from jobcron.reports._publishers import Publishers, publishers_of
from jobcron.reports.reminders import Reminders
from jobcron.settings.secrets import Redactor, cut, hide, printed
from jobcron.settings.settings import Settings

MAX_TEXT = 100_000

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
"""What `sys.exc_info` returns."""


class Request(Protocol):
    """What was being done when an error happened: names and values to show, as a dict has them."""

    def items(self) -> Iterable[tuple[str, object]]: ...


Message = Mapping[str, object] | Callable[[], Iterable[tuple[str, object]]]
"""Variables for reports; or what returns them, and is called once for each report."""


class _MessageBlock:
    """The block of one message; no generator, since each job enters one."""

    def __init__(self, messages: list[Message], message: Message) -> None:
        self._messages, self._message = messages, message

    def __enter__(self) -> None:
        self._messages.append(self._message)

    def __exit__(self, *error: object) -> None:
        self._messages.pop()


class ErrorUtility:
    """Creates and publishes OOPS reports; there is one per process (`globalErrorUtility`).

    Attributes:
        config: the python-oops configuration; add publishers, hooks and filters there.
        redactor: hides secrets in every report.
        reminders: the messages that the section's runs repeat only after the ``activity_interval``.
    """

    def __init__(self) -> None:
        self.config = python_oops.Config()
        self.redactor = Redactor()
        self.reminders = Reminders()
        self.error_dir: str | None = None
        self.prefix = ""
        self.section_name: str | None = None
        self._publishers: Publishers | None = None
        self._messages: list[Message] = []

    def configure(self, section_name: str | None = None, settings: Settings | None = None) -> None:
        """Read the prefix, directory and publishers from the configuration; a section may have its own (LP-26).

        Args:
            section_name: the section; None: use the values of ``[jobcron]``.
            settings: the settings; None: use those that `load_settings` returns.

        Raises:
            ConfigurationError: the section does not exist.
        """
        from jobcron.settings.instance import load_settings

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
        self._publishers = publishers_of(settings, str(self.error_dir), f"{place}: the OOPS directory")
        self.config.publisher = self._publishers
        self.redactor = hide(settings.secrets())
        reminders = settings.reminders_file(section_name) if section_name else None
        self.reminders = Reminders(reminders, settings.activity_interval)

    def check(self) -> None:
        """Import the publishers that the configuration names.

        Raises:
            ConfigurationError: one cannot be imported.
        """
        if self._publishers is not None:
            self._publishers.check()

    def oopsMessage(self, message: Message) -> AbstractContextManager[None]:
        """Add `message` to the variables of every report that is created inside the block (LP-26)."""
        return _MessageBlock(self._messages, message)

    def surrounding_variables(self) -> list[tuple[str, object]]:
        """Return the variables of all messages whose blocks are open: see `oopsMessage`."""
        told = [message() if callable(message) else message.items() for message in self._messages]
        return [variable for variables in told for variable in variables]

    def make_report(
        self,
        error: BaseException,
        oops_id: str,
        variables: list[tuple[str, object]],
        *,
        hooked: bool = True,
        **more: object,
    ) -> dict[str, object]:
        """Create a report of an error, without publishing it.

        Args:
            error: what happened, with its traceback, causes and contexts.
            oops_id: the report's id.
            variables: names and values to show.
            hooked: whether to call the application's hooks (`config.on_create`).
            more: further entries, such as ``duration`` and ``timeline``.
        """
        report: dict[str, object] = self.config.create({}) if hooked else deepcopy(self.config.template)
        report.setdefault("time", datetime.now(UTC))
        report.update(
            type=type(error).__name__,
            value=cut(self.redactor.text(message_of(error)), MAX_TEXT),
            tb_text=cut(self.redactor.text(traceback_of(error)), MAX_TEXT),
            req_vars=self.redactor.value(dict((*self.surrounding_variables(), *variables))),
            **{k: self.redactor.value(v) for k, v in more.items()},
        )
        report["id"] = oops_id
        return report

    def publish(self, report: dict[str, object]) -> str | None:
        """Publish a report and return its id; None if a filter dropped it.

        Raises:
            ConfigurationError: no publisher is configured.
            DirectoryError: no publisher accepted the report.
            Exception: what a publisher raises.
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

    def raising(
        self, info: BaseException | ExcInfo | None = None, request: Request | None = None
    ) -> dict[str, object] | None:
        """Publish and return a report of an error outside any job; return None if a filter dropped it (LP-26).

        Args:
            info: the result of `sys.exc_info()`, or an exception; None: the exception that is being handled.
            request: an object whose ``items()`` are further variables.

        Raises:
            ValueError: there is no exception.
        """
        error = (info[1] if isinstance(info, tuple) else info) or sys.exception()
        if error is None:
            raise ValueError("expected an exception to report, got none, and none is being handled")
        variables = list(request.items()) if request is not None else []
        moment = f"{datetime.now(UTC):%H%M%S}-{uuid.uuid4().hex[:8]}"
        report = self.make_report(error, f"OOPS-{self.prefix}-{moment}", variables)
        return report if self.publish(report) else None


globalErrorUtility = ErrorUtility()


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error with its causes, even if its ``__str__`` raises."""
    try:
        return "".join(traceback.format_exception(error))
    except BaseException as failure:  # `sys.exit` in a ``__str__`` as well
        lines = traceback.format_tb(error.__traceback__)
        return "".join([*lines, f"{printed(error)} (its traceback failed: {printed(failure)})\n"])


def message_of(error: BaseException) -> str:
    """Return an error's message, even if its ``__str__`` raises."""
    try:
        return str(error)
    except BaseException:  # `sys.exit` as well
        return printed(error)
