"""Assertions about jobs: which jobs are waiting, and how jobs ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session, object_session

from jobcron.database.sessions import AnySession
from jobcron.database.tables import JobTypeRow
from jobcron.errors import InvalidJobData
from jobcron.interfaces import JobStatus
from jobcron.jobs import registry
from jobcron.jobs.draft import key_of, session_to_use
from jobcron.jobs.job import Job
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.scripts.job_script import JobCronScript
from jobcron.settings.instance import load_settings
from jobcron.testing.loggers import BufferLogger

SHOWN_JOBS = 20

Kind = TypeVar("Kind", bound=BaseRunnableJob[Any])
"""A job class."""

AnyJob = BaseRunnableJob[Any] | Job
"""A job, or its shared row."""


def waiting_jobs(job_class: type[Kind], target: object = None, *, session: AnySession | None = None) -> list[Kind]:
    """Return the waiting jobs of a class, due or not, in starting order.

    Args:
        job_class: the class.
        target: return only jobs about this object.
        session: the session to query; by default the target's, then the ambient one.

    Raises:
        NoSession: no session was found.
    """
    used = session_to_use(session, target)
    used.flush()
    waiting = job_class._select().where(Job.status == JobStatus.WAITING)
    if target is not None:
        waiting = waiting.where(job_class._is_about(target))
    waiting = waiting.order_by(Job.priority, Job.scheduled_start, Job.id)
    rows = used.scalars(waiting, execution_options={"populate_existing": True}).unique()
    return [job_class(row) for row in rows]


def assert_waiting(
    job_class: type[Kind], target: object = None, count: int = 1, *, session: AnySession | None = None
) -> list[Kind]:
    """Check that `count` jobs of a class are waiting, due or not, and return them.

    Args:
        job_class, target, session: as for `waiting_jobs`.
        count: the expected number of jobs.

    Raises:
        AssertionError: more or fewer jobs are waiting; the message lists the existing jobs.
        NoSession: no session was found.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    found = waiting_jobs(job_class, target, session=session)
    if len(found) != count:
        about = "" if target is None else f" about {_name(target)}"
        there = "\n".join(_descriptions(session_to_use(session, target))) or "  none"
        raise AssertionError(
            f"expected {count} waiting {job_class.__name__}{about}, found {len(found)}; the jobs that there are:\n"
            f"{there}"
        )
    return found


def run_waiting(what: str | type[BaseRunnableJob[Any]], *arguments: str) -> str:
    """Run the waiting jobs that are due, as cron would but in this process; return the log, DEBUG included.

    Inside `use_session`, everything happens in that session's transaction. Elsewhere, only committed jobs run.

    Args:
        what: the name of a section, or a job class that is the source of a section.
        arguments: further command-line arguments for the script.

    Raises:
        LookupError: no section names the class.
        UserMistake: the configuration or the database is wrong.
    """
    section = what if isinstance(what, str) else _section_of(what)
    logger = BufferLogger()
    JobCronScript(test_args=[section, *arguments], commandline_config=True, logger=logger).main()
    return logger.getLogBuffer()


def assert_completed(job: AnyJob) -> None:
    """Check that a job has completed.

    Args:
        job: the job, or its shared row.

    Raises:
        AssertionError: it has not; the message says what its status is, with its error.
    """
    __tracebackhide__ = True
    _assert_status(job, JobStatus.COMPLETED)


def assert_failed(job: AnyJob, error: str = "") -> None:
    """Check that a job has failed with an error whose text contains `error`.

    Args:
        job: the job, or its shared row.
        error: a part of the error's class name or message, as it stands in the job's ``log``.

    Raises:
        AssertionError: the job has not failed, or it failed with another error.
    """
    __tracebackhide__ = True
    row = _assert_status(job, JobStatus.FAILED)
    if error not in (row.log or ""):
        raise AssertionError(f"expected {_title(job)} to have failed with {error!r}, it failed with:\n{row.log}")


def _assert_status(job: AnyJob, status: JobStatus) -> Job:
    __tracebackhide__ = True
    row = job if isinstance(job, Job) else job.job
    session = object_session(row)
    if session is not None:
        session.refresh(row)
    if row.status is not status:
        log = f":\n{row.log}" if row.log else ""
        raise AssertionError(f"expected {_title(job)} to be {status.title}, it is {row.status.title}{log}")
    return row


def _title(job: AnyJob) -> str:
    return f"{type(job).__name__} (ID {job.id})"


def _section_of(job_class: object) -> str:
    """Return the first section whose source is the class."""
    settings = load_settings()
    names = set(registry.names_of(job_class))
    for section in settings.sections.values():
        if section.source_interface in names:
            return section.name
    raise LookupError(
        f"expected a section in {settings.path} whose source_interface is one of {', '.join(sorted(names))}, "
        f"found none; its sections are: {', '.join(settings.sections) or 'none'}"
    )


def _descriptions(session: Session) -> Iterator[str]:
    """Describe the existing jobs, the newest first, in one line each."""
    newest = select(Job, JobTypeRow.name).join(JobTypeRow, Job.type_id == JobTypeRow.id).order_by(Job.id.desc())
    for row, type_name in session.execute(newest.limit(SHOWN_JOBS)):
        job_class = registry.registered().get(type_name)
        title, about = f"{type_name} (ID {row.id})", ""
        if job_class is not None and issubclass(job_class, BaseRunnableJob):
            job = job_class.get(row.id, session=session)
            title, about = _title(job), _about(job)
        yield f"  {title}{about}: {row.status.title}"
    count = session.scalar(select(func.count()).select_from(Job)) or 0
    if count > SHOWN_JOBS:
        yield f"  … and {count - SHOWN_JOBS} older ones"


def _about(job: BaseRunnableJob[Any]) -> str:
    try:
        target = job.target
    except (InvalidJobData, LookupError):  # a family without a description; a missing row
        return ""
    return "" if target is None else f" about {_name(target)}"


def _name(target: object) -> str:
    return f"{type(target).__name__} {key_of(target)}"
