"""The end of a script that could not do its work: message, report and exit status (LP-12, LP-16)."""

from __future__ import annotations

import logging
import time

from jobcron.errors import (
    DatabaseUnavailable,
    DatabaseUnusable,
    JobcronError,
    LockHeld,
    UserMistake,
)
from jobcron.reports.logs import NO_OOPS, somebody_looks
from jobcron.scripts import outage

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Protocol

    from jobcron.settings.settings import Settings

    class EndingScript(Protocol):
        """What a script's end needs of it. Log and settings are created late, and may fail themselves."""

        lock_held_level: int

        @property
        def parser(self) -> argparse.ArgumentParser: ...

        @property
        def logger(self) -> logging.Logger: ...

        @property
        def settings(self) -> Settings: ...

        @property
        def outage_file(self) -> str: ...

    class RecordedScript(EndingScript, Protocol):
        """What the record of a run needs of its script."""

        started: float
        done: int

        @property
        def lock_name(self) -> str: ...

        def main(self) -> int | None: ...


def recorded(script: RecordedScript) -> Callable[[], int | None]:
    """Return a script's ``main`` which, if it succeeds, writes the row of the run, and reports to metrics."""

    def run() -> int | None:
        settings = script.settings
        if settings.metrics_dir is None and settings.metrics_hook is None:
            status = script.main()
        else:
            from jobcron.reports.metrics import observed

            with observed(settings, script.lock_name, script.started, _log(script)) as observer:
                status = script.main()
                observer.succeeded = not status
        if not status:
            _record(script)
        return status

    return run


def _record(script: RecordedScript) -> None:
    """Write the row of a script's run; only log a failure, since the run has done its work."""
    from sqlalchemy.exc import DBAPIError

    from jobcron.database.database import Database
    from jobcron.database.runs import EndedRun, record_run
    from jobcron.database.trouble import first_line

    settings = script.settings
    ended = EndedRun(script.lock_name, time.monotonic() - script.started, max(0, script.done), 0, 0, None, None)
    database = Database(settings.database_url, origin=settings.database_origin)
    try:
        with database.begin() as connection:
            record_run(connection, ended, settings.activity_interval)
    except (DBAPIError, DatabaseUnavailable) as error:
        text = "The row of this run could not be written: %s"
        _log(script).warning(text, first_line(error), extra=NO_OOPS)
    finally:
        database.close()


class AlreadyTold(Exception):
    """A process of this run has failed, and has told why.

    Attributes:
        exit_status: its status, which becomes the script's.
    """

    def __init__(self, exit_status: int) -> None:
        super().__init__(f"a process of this run left with status {exit_status}")
        self.exit_status = exit_status


def exit_status_of(script: EndingScript, error: Exception | KeyboardInterrupt) -> int:
    """Log the error that ended a script, make an OOPS unless it is a user's mistake, and return the exit status.

    Args:
        script: the script.
        error: the error that ended it.
    """
    if isinstance(error, AlreadyTold):
        return error.exit_status
    if isinstance(error, LockHeld):
        _log(script).log(script.lock_held_level, "%s", error, extra=NO_OOPS)
        return error.exit_status
    if isinstance(error, DatabaseUnavailable) and not isinstance(error, DatabaseUnusable):
        _log(script).log(_level_of_outage(script, error), "%s", error, extra=NO_OOPS)
        return error.exit_status
    if isinstance(error, UserMistake):
        _log(script, error).error("%s", error, extra=NO_OOPS)
        return error.exit_status
    if isinstance(error, KeyboardInterrupt):
        _log(script).error("Stopped from the keyboard", extra=NO_OOPS)
        return 1
    from jobcron.database.trouble import refused_right  # slow to import, and known to whoever asked a database

    if (refused := refused_right(error)) is not None:
        _log(script).error("expected a role that has the rights for this, got: %s", refused, extra=NO_OOPS)
        return DatabaseUnavailable.exit_status
    _report(script, error)
    return error.exit_status if isinstance(error, JobcronError) else 1


def end_outage(script: EndingScript) -> None:
    """Log that the database is available again, and clear the outage."""
    since = outage.end(script.outage_file)
    if since is not None:
        script.logger.warning("The database is there again; it was away since %s", since, extra=NO_OOPS)


def _level_of_outage(script: EndingScript, error: DatabaseUnavailable) -> int:
    """Return ERROR for a new outage, or on a terminal; else DEBUG, because cron would mail it every minute."""
    is_news = outage.begin(script.outage_file, str(error))
    return logging.ERROR if is_news or somebody_looks() else logging.DEBUG


def _log(script: EndingScript, told: BaseException | None = None) -> logging.Logger:
    """Return the script's log, even if its log file cannot be opened: that must not hide the other error.

    Args:
        script: the script.
        told: the other error, which is told next; it may be that of the log file.
    """
    try:
        return script.logger
    except UserMistake as error:
        if str(error) != str(told):
            script.logger.error("%s", error, extra=NO_OOPS)  # by now it logs to standard error
        return script.logger


def _report(script: EndingScript, error: Exception) -> None:
    """Make an OOPS of an error outside any job; the log has its traceback in any case."""
    from jobcron.reports.oops import globalErrorUtility, traceback_of

    text = globalErrorUtility.redactor.text(traceback_of(error))
    _log(script).error("Unhandled exception\n%s", text.rstrip(), extra=NO_OOPS)
    try:
        if globalErrorUtility.error_dir is None:
            globalErrorUtility.configure(settings=script.settings)
        report = globalErrorUtility.raising(error, {"script_name": script.parser.prog})
    except Exception as failure:
        script.logger.error("The OOPS report could not be made: %s", failure, extra=NO_OOPS)
        return
    if report is not None:
        script.logger.info("%s", report["id"], extra={"oops_id": report["id"]})
