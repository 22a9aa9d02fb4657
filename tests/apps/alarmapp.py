"""Jobs that log, and publishers of reports, for the tests of what becomes of warnings."""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from instances import Instance
from jobcron import BaseRunnableJob, JobType, disable_oops_handler, globalErrorUtility
from jobcron.runner.grouped._attempt import GroupedAttempt

SECRET = "c4nary-s3cret"

CARRIED = "%(jobcron_job)s %(jobcron_job_id)s %(jobcron_job_uuid)s %(jobcron_attempt_count)s"


class AlarmJobType(JobType):
    """The types."""

    LOGGING = 1
    GROUPED = 2


class LoggingJob(BaseRunnableJob):
    """Logs what it is told."""

    class_job_type: ClassVar[JobType] = AlarmJobType.LOGGING
    kind: str
    password: str = "none"

    def run(self) -> None:
        """Log."""
        getattr(self, f"do_{self.kind}")(logging.getLogger("shop.stock"))

    def do_warn(self, logger: logging.Logger) -> None:
        """Warn."""
        logger.warning("only %s left, password=%s", 3, SECRET)

    def do_handle(self, logger: logging.Logger) -> None:
        """Handle an error, and log it."""
        try:
            raise KeyError("the shelf")
        except KeyError:
            logger.exception("not found")

    def do_warn_while_handling(self, logger: logging.Logger) -> None:
        """Warn of an error that is being handled, without showing it."""
        try:
            raise KeyError("the desk")
        except KeyError:
            logger.warning("not there")

    def do_inform(self, logger: logging.Logger) -> None:
        """Say something that is no warning."""
        logger.info("all is well")

    def do_raise_and_handle(self, logger: logging.Logger) -> None:
        """Report an error that is handled."""
        try:
            raise KeyError("the till")
        except KeyError:
            globalErrorUtility.raising()

    def do_warn_in_a_thread(self, logger: logging.Logger) -> None:
        """Warn in a thread of the job's, which must not use the job's session."""
        thread = threading.Thread(target=logger.warning, args=("from a thread",))
        thread.start()
        thread.join()

    def do_record(self, logger: logging.Logger) -> None:
        """Log with attributes of the application's own, to a handler of its own."""
        handler = logging.FileHandler(os.environ["ALARM_FILE"], delay=True)
        handler.setFormatter(logging.Formatter(f"%(message)s: {CARRIED} %(job_id)s", defaults={"job_id": "none"}))
        logging.getLogger().addHandler(handler)
        logger.warning("recorded", extra={"job_id": "the application's", "oops_id": None})

    def do_broken(self, logger: logging.Logger) -> None:
        """Warn in a transaction that has failed."""
        with suppress(DBAPIError):
            self.session.execute(text("SELECT nothing FROM nowhere"))
        self.session.expire(self.job)
        logger.warning("broken")
        self.session.rollback()

    def do_add_and_warn(self, logger: logging.Logger) -> None:
        """Warn while something is not flushed, and end with an open transaction only if there was one."""
        self.checkpoint()
        self.session.expire(self.job)
        logger.warning("no transaction")
        assert not self.session.in_transaction()
        self.metadata["note"] = "kept"
        logger.warning("a transaction")
        assert self.session.in_transaction()
        assert self.session.dirty

    def do_opt_out(self, logger: logging.Logger) -> None:
        """Warn without a report, in both ways."""
        logger.warning("known", extra={"oops_id": None})
        with disable_oops_handler(logging.getLogger()):
            logger.warning("known as well")

    def do_warn_often(self, logger: logging.Logger) -> None:
        """Warn in a loop."""
        for number in range(1000):
            logger.warning("number %s", number)

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Tell the kind; and warn, which must not go round in circles."""
        if self.kind == "tell_badly":
            raise RuntimeError("no variables")
        if self.kind == "warn_in_variables":
            logging.getLogger("shop.stock").warning("asked")
        return [*super().getOopsVars(), ("kind", self.kind)]

    def do_tell_badly(self, logger: logging.Logger) -> None:
        """Warn of a job that cannot tell its variables."""
        logger.warning("told badly")

    def do_warn_in_variables(self, logger: logging.Logger) -> None:
        """Warn; the variables warn as well."""
        logger.warning("before")

    def do_fail(self, logger: logging.Logger) -> None:
        """Fail."""
        raise ValueError("failed")


class GroupedLoggingJob(LoggingJob):
    """Logs what it is told, in a transaction that it shares with others."""

    class_job_type: ClassVar[JobType] = AlarmJobType.GROUPED
    database_only = True
    group_commit = True

    def run(self) -> None:
        """Log, and warn of nothing in a transaction of its own."""
        assert isinstance(self.attempt, GroupedAttempt) or self.kind == "inform"
        super().run()


def publish(report: dict[str, Any]) -> list[str]:
    """Note a report's id in a file."""
    with Path(os.environ["ALARM_FILE"]).open("a") as file:
        file.write(f"{report['id']} {report['type']}\n")
    return [report["id"]]


def refuse(report: dict[str, Any]) -> list[str]:
    """Publish nothing."""
    raise OSError("no service")


SECTIONS = """
[logging]
source_interface: alarmapp.LoggingJob

[isolated]
source_interface: alarmapp.LoggingJob
runner_class: ProcessJobRunner

[grouped]
source_interface: alarmapp.GroupedLoggingJob
"""


def make(instance: Instance, *kinds: str) -> list[int]:
    """Commit jobs."""
    with instance.session() as session:
        return [LoggingJob.create(kind=kind, session=session).id for kind in kinds]


def reports(instance: Instance) -> list[dict[str, Any]]:
    """Return what the reports say."""
    return [json.loads(path.read_text()) for path in instance.oopses()]
