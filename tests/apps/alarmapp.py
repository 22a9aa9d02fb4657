"""Jobs that log, and publishers of reports, for the tests of what becomes of warnings."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any, ClassVar

from instances import Instance
from jobcron import BaseRunnableJob, JobType, disable_oops_handler

SECRET = "c4nary-s3cret"


class AlarmJobType(JobType):
    """The types."""

    LOGGING = 1


class LoggingJob(BaseRunnableJob):
    """Logs what it is told."""

    class_job_type: ClassVar[JobType] = AlarmJobType.LOGGING
    kind: str

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

    def do_opt_out(self, logger: logging.Logger) -> None:
        """Warn without a report, in both ways."""
        logger.warning("known", extra={"oops_id": None})
        with disable_oops_handler(logging.getLogger()):
            logger.warning("known as well")

    def do_warn_often(self, logger: logging.Logger) -> None:
        """Warn in a loop."""
        for number in range(1000):
            logger.warning("number %s", number)

    def do_fail(self, logger: logging.Logger) -> None:
        """Fail."""
        raise ValueError("failed")


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
"""


def make(instance: Instance, *kinds: str) -> list[int]:
    """Commit jobs."""
    with instance.session() as session:
        return [LoggingJob.create(kind=kind, session=session).id for kind in kinds]


def reports(instance: Instance) -> list[dict[str, Any]]:
    """Return what the reports say."""
    return [json.loads(path.read_text()) for path in instance.oopses()]
