"""Turn warnings of a cron script into OOPS reports, unless they have one already (LP-26)."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from jobcron.reports.logs import complain
from jobcron.reports.oops import globalErrorUtility
from jobcron.settings.settings import LEVELS, Settings

MAX_PER_PLACE = 10
"""The most reports that one line of code can cause in a run: a loop of warnings must not fill the disk."""


HANDLED = "handled_traceback"
"""A record's attribute: the traceback of the error that was being handled in the process it comes from."""


VARIABLES = "jobcron_variables"
"""A record's attribute: the variables of the job in the process it comes from."""


class LoggedWarning(Exception):
    """A log message, as an error that can be reported."""


class Alarm(logging.Handler):
    """A handler that `disable_oops_handler` removes; in a child process it does nothing: the parent reports."""

    def emit(self, record: logging.LogRecord) -> None:
        """Do nothing."""


class OopsHandler(Alarm):
    """Reports each record, with the error that it carries or that is being handled.

    A record with an ``oops_id`` (``logger.warning("…", extra={"oops_id": None})``) is not reported.

    Args:
        level: records below it are not reported.
        script_name: for the report.
        configure: called before the first report, if the reports are not configured yet.
    """

    def __init__(self, level: int, script_name: str, configure: Callable[[], None]) -> None:
        super().__init__(level)
        self._script_name = script_name
        self._configure = configure
        self._places: Counter[tuple[str, int]] = Counter()
        self._is_reporting = False

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record; if that fails, say so on standard error."""
        if hasattr(record, "oops_id") or self._is_reporting:
            return
        place = (record.pathname, record.lineno)
        self._places[place] += 1
        if self._places[place] > MAX_PER_PLACE:
            return
        self._is_reporting = True
        try:
            if globalErrorUtility.error_dir is None:
                self._configure()
            variables = {"script_name": self._script_name, **vars(record).get(VARIABLES, {})}
            report = globalErrorUtility.raising(_error_of(record), variables)
            if report is not None:
                extra = {"oops_id": report["id"]}
                logging.getLogger(record.name).info("%s", report["id"], extra=extra)
        except Exception as error:
            text = globalErrorUtility.redactor.text(f"{type(error).__name__}: {error}")
            complain(f"jobcron: a warning could not be reported: {text}")
        finally:
            self._is_reporting = False


def set_alarm(logger: logging.Logger, settings: Settings, script_name: str) -> None:
    """Report warnings of a script, from the configured level on, even if the log does not show them.

    Args:
        logger: the script's.
        settings: with an ``oops_level``.
        script_name: for the reports.
    """
    level = LEVELS[settings.oops_level or "CRITICAL"]
    logger.setLevel(min(level, logger.level))  # the other handlers have their own levels
    logger.addHandler(OopsHandler(level, script_name, lambda: globalErrorUtility.configure(settings=settings)))


def _error_of(record: logging.LogRecord) -> BaseException:
    """Return the error of a record, with the log message."""
    logged = f"{record.levelname}: {record.getMessage()}"
    error = (record.exc_info or sys.exc_info())[1]
    shown = LoggedWarning(logged)
    if text := getattr(record, HANDLED, None):
        shown.add_note(text)
    if error is None:
        return shown
    shown.__cause__ = error
    traceback: TracebackType | None = error.__traceback__
    return shown.with_traceback(traceback)


def alarm_level(logger: logging.Logger) -> int | None:
    """Return the level from which on records of a logger are reported; None: none are."""
    return min((handler.level for handler in logger.handlers if isinstance(handler, Alarm)), default=None)


@contextmanager
def disable_oops_handler(logger: logging.Logger) -> Iterator[None]:
    """Create no OOPS reports of a logger's records inside the block."""
    handlers = [handler for handler in logger.handlers if isinstance(handler, Alarm)]
    for handler in handlers:
        logger.removeHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.addHandler(handler)
