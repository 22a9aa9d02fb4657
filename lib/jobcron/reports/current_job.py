"""The job that this process works on: reports and records of the log that are made meanwhile carry it (LP-26).

Nothing is asked of the job before there is something to report.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobcron.reports.oops import globalErrorUtility

Variables = list[tuple[str, object]]
"""Names and values for a report."""

JOB = "jobcron_job"
"""A record's attribute: the job's name; empty outside jobs. Its facts are further ones: see `RECORDED`."""

RECORDED = {"job_id": "jobcron_job_id", "job_uuid": "jobcron_job_uuid", "attempt_count": "jobcron_attempt_count"}
"""The attributes of a record with the job's facts, None outside jobs. The prefix keeps them apart from those that
an application gives with ``extra``, which may not exist already."""


class CurrentJob:
    """A job that is being worked on.

    Args:
        name: the job's name in logs.
        facts: what is known of it without asking it: variables of a report.
        ask: returns the job's own variables; called in this thread only, since it may use the job's session.
    """

    def __init__(self, name: str, facts: dict[str, object], ask: Callable[[], Variables]) -> None:
        self.name = name
        self.facts = facts
        self._ask = ask
        self._thread = threading.get_ident()
        self._is_asked = False

    def variables(self) -> Variables:
        """Return the variables of the job, whatever state it is in."""
        known = list(self.facts.items())
        if self._is_asked or threading.get_ident() != self._thread:
            return known  # the job itself warns while it tells its variables; or a thread of the job's warns
        self._is_asked = True
        try:
            return [*known, *self._ask()]
        except Exception as error:
            return [*known, ("getOopsVars", f"failed: {type(error).__name__}")]
        finally:
            self._is_asked = False

    def attributes(self) -> dict[str, object]:
        """Return the attributes of a record of the log."""
        return {JOB: self.name} | {name: self.facts.get(fact) for fact, name in RECORDED.items()}


_NONE: dict[str, object] = {JOB: ""} | dict.fromkeys(RECORDED.values())
_current: CurrentJob | None = None


def carried_by(record: logging.LogRecord) -> dict[str, object]:
    """Return the attributes of the job that a record carries."""
    return {name: vars(record).get(name, none) for name, none in _NONE.items()}


class working_on:
    """Let reports and records of the log that are made inside the block carry the job.

    It is no generator, since each job enters one.

    Args:
        job: the job.
    """

    def __init__(self, job: CurrentJob) -> None:
        self._job = job
        self._message = globalErrorUtility.oopsMessage(job.variables)

    def __enter__(self) -> None:
        global _current
        self._before, _current = _current, self._job
        self._message.__enter__()

    def __exit__(self, *error: object) -> None:
        global _current
        _current = self._before
        self._message.__exit__(None, None, None)  # whatever the error: it only ends


class _RecordFactory:
    """Makes records with the attributes of the job that is being worked on.

    Args:
        usual: makes the records.
    """

    def __init__(self, usual: Callable[..., logging.LogRecord]) -> None:
        self._usual = usual

    def __call__(self, *args: object, **kwargs: object) -> logging.LogRecord:
        """Make a record."""
        record = self._usual(*args, **kwargs)
        vars(record).update(_NONE if _current is None else _current.attributes())
        return record


@contextmanager
def records_carry_jobs() -> Iterator[None]:
    """Give each record of the log the attributes of the job that is being worked on."""
    usual = logging.getLogRecordFactory()
    if isinstance(usual, _RecordFactory):
        yield
        return
    logging.setLogRecordFactory(_RecordFactory(usual))
    try:
        yield
    finally:
        logging.setLogRecordFactory(usual)
