"""The trial of a job: it runs under its claim, what it changes is shown, and all is rolled back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from jobcron.database.database import Database
from jobcron.database.trouble import first_line, sqlstate_of
from jobcron.database.version import check_schema
from jobcron.errors import ConfigurationError, FailedJobError
from jobcron.interfaces import JobStatus
from jobcron.jobs.hand_moves import operator_name
from jobcron.jobs.history import EventKind, record
from jobcron.jobs.lease import Claim
from jobcron.operations._obstacles.row import Row, read_row
from jobcron.operations._obstacles.section import job_section_reasons
from jobcron.operations._obstacles.states import row_reasons
from jobcron.operations.acts import act_on_jobs, retry, run_now
from jobcron.operations.forecast._changes import Changes, ColumnChange, RowChange, StatementCount
from jobcron.operations.forecast._stage import OneJob, Stage, Watch, refuse_end, without_commits, without_reports
from jobcron.queue.outcome import Completed, Failed
from jobcron.queue.sources import find_source
from jobcron.queue.views import SourceView
from jobcron.reports.error_text import ErrorText
from jobcron.runner.application import Application
from jobcron.runner.job_runner import JobRunner
from jobcron.scripts.order import limits_of
from jobcron.settings.settings import Section, Settings

__all__ = ["ColumnChange", "RowChange", "StatementCount", "Trial", "try_job"]

LOGGER = logging.getLogger("jobcron.try")

INVALID_SAVEPOINT = "3B001"

MAIL = 50
"""The most mails that are named."""


@dataclass(frozen=True)
class Trial:
    """What a job did when it was tried; none of it is in the database any more.

    Attributes:
        job: the job's number.
        section: the section as which it ran.
        outcome: how it ended, as its history would say.
        status: the status that it would have now.
        seconds: how long it took.
        error: its error with the traceback; null if there was none.
        rows: the rows that it changed through its session.
        more_rows: how many more there were.
        statements: its other statements that write, counted.
        mails: the mails that jobcron would have sent: to whom, and the subject.
        actions: how many actions would have been done after the commit.
        leak: what could not be undone in the database; null: nothing.
    """

    job: int
    section: str
    outcome: str
    status: JobStatus
    seconds: float
    error: str | None
    rows: tuple[RowChange, ...]
    more_rows: int
    statements: tuple[StatementCount, ...]
    mails: tuple[str, ...]
    actions: int
    leak: str | None


def try_job(
    settings: Settings, application: Application, job_id: int, *, accepts_effects: bool = False, actor: str = ""
) -> Trial:
    """Run a job as its section would, in this process, and roll back what it does in the database.

    The claim, the job's work and its outcome are one transaction that is never committed: while it lasts, it holds
    the job's row, so that no run takes the job; if this process dies, nothing has happened. A job that has ended,
    or is not due, is tried as if it had been retried. Its history then says who tried it.

    Args:
        settings: the instance's settings.
        application: its application.
        job_id: the job's number.
        accepts_effects: whether the job may run although it may have effects that are not undone.
        actor: who tries it; by default the user of this process.

    Raises:
        NoSuchJob: there is no such job.
        ConfigurationError: the job cannot be tried: the message says why.
    """
    section, row = _section_of(settings, job_id)
    if settings.transactions == "zope":
        raise ConfigurationError(
            f"{settings.place('transactions')}: expected jobs that commit by their session alone, got zope: what "
            "else joins the thread's transaction would be committed, so the job is not tried"
        )
    database = Database(settings.database_url, section.dbuser, origin=settings.database_origin)
    with closing(database):
        trial = _tried(settings, application, section, row, database, accepts_effects)
        told = f"{trial.outcome}; rolled back" + (f", but {trial.leak}" if trial.leak else "")
        with database.begin() as connection:
            claim = Claim(job_id, row.values.lease_token)
            record(connection, claim, EventKind.TRIED, told, actor=actor or operator_name())
    return trial


def _section_of(settings: Settings, job_id: int) -> tuple[Section, Row]:
    """Return the section that runs a job, and the job.

    Raises:
        NoSuchJob: there is no such job.
        ConfigurationError: no section runs it, or somebody is at work with it.
    """
    database = Database(settings.database_url, origin=settings.database_origin)
    with closing(database), database.begin(writing=False) as connection:
        check_schema(connection, database.where, LOGGER)
        row = read_row(connection, job_id)
        is_running = row.values.status is JobStatus.RUNNING and not row.is_abandoned
        if is_running or row.locker is not None:
            reason = next(iter(row_reasons(row, settings.crash_limit)))
            raise ConfigurationError(f"job {job_id} cannot be tried: {reason.text}")
        name, reasons = job_section_reasons(connection, settings, row)
    if name is None:
        raise ConfigurationError(f"job {job_id} cannot be tried: {reasons[0].text}")
    return settings.section(name), row


def _tried(
    settings: Settings,
    application: Application,
    section: Section,
    row: Row,
    database: Database,
    accepts_effects: bool,
) -> Trial:
    source, changes = find_source(settings, section), Changes()
    watch, number = Watch(changes), row.values.id
    with (
        without_reports(settings, section) as (errors, outbox),
        without_commits(database.engine, changes) as refusals,
        _undone(database) as (connection, leaks),
    ):
        _make_ready(connection, row)
        stage = Stage(Session(connection), changes)
        feed = OneJob(SourceView(source), number, accepts_effects=accepts_effects)
        runner = JobRunner(
            source,
            stage,
            guard=watch,
            application=application,
            logger=LOGGER,
            limits=limits_of(settings, section),
            errors=errors,
            feed=feed,
        )
        end = _end(number, watch, _run(runner, refusals), connection)
    return Trial(
        job=number,
        section=section.name,
        outcome=end.outcome,
        status=end.status,
        seconds=0.0 if watch.end is None else round(watch.end.seconds, 3),
        error=None if end.error is None else ErrorText.of(end.error, errors.redactor).traceback,
        rows=changes.rows(),
        more_rows=changes.more_rows,
        statements=changes.counts(),
        mails=tuple(f"{mail['To']}: {mail['Subject']}" for mail in outbox[:MAIL]),
        actions=sum(len(one.waiting) for one in stage.actions),
        leak=leaks[0] if leaks else None,
    )


class _End(NamedTuple):
    """How a trial ended."""

    outcome: str
    status: JobStatus
    error: BaseException | None


def _run(runner: JobRunner, refusals: list[FailedJobError]) -> Exception | None:
    """Run the job; return the error that ended the run itself, since the job broke its transaction."""
    try:
        runner.runAll()
    except SQLAlchemyError as error:
        return refusals[0] if refusals else error
    return None


def _end(number: int, watch: Watch, broken: Exception | None, connection: Connection) -> _End:
    if broken is not None:
        return _End(Failed.kind.value, JobStatus.FAILED, broken)
    if watch.end is None:
        reason = f"a claim does not take it: jobcron why {number} says why"
        raise ConfigurationError(f"job {number} cannot be tried: {reason}")
    outcome = watch.end.outcome
    refusal = _refused_at_commit(connection) if isinstance(outcome, Completed) else None
    if refusal is not None:
        return _End("refused at its commit", JobStatus.FAILED, refusal)
    return _End(outcome.kind.value, outcome.status, outcome.error)


def _make_ready(connection: Connection, row: Row) -> None:
    """Make a job waiting and due, in the transaction that is rolled back."""
    number, status = row.values.id, row.values.status
    if status is JobStatus.WAITING and all(row.conditions.values()):
        return
    act = run_now() if status is JobStatus.WAITING else retry()
    refused = act_on_jobs(connection, act, [number]).refused
    if refused:
        raise ConfigurationError(f"job {number} cannot be tried: {refused[0].reason}")


@contextmanager
def _undone(database: Database) -> Iterator[tuple[Connection, list[str]]]:
    """Open a transaction that is rolled back at the end; yield it, with what turns out not to be undone."""
    leaks: list[str] = []
    with database.engine.connect() as connection:
        transaction = connection.begin()
        connection.exec_driver_sql("SAVEPOINT jobcron_trial")
        for name in ("commit", "rollback"):
            setattr(connection, name, refuse_end)
        try:
            yield connection, leaks
            leaks += _leaks(connection)
        finally:
            transaction.rollback()


def _leaks(connection: Connection) -> list[str]:
    """Return whether a COMMIT has passed SQLAlchemy by: the transaction's savepoint is gone then.

    The driver is asked: SQLAlchemy refuses all statements once a COMMIT has been refused.
    """
    if connection.invalidated:
        return []  # the server rolls back
    try:
        connection.connection.cursor().execute("ROLLBACK TO SAVEPOINT jobcron_trial")
    except Exception as error:
        if sqlstate_of(error) == INVALID_SAVEPOINT or "no such savepoint" in str(error):
            return [f"the job ended the transaction itself, with what was done until then ({first_line(error)})"]
    return []


def _refused_at_commit(connection: Connection) -> BaseException | None:
    """Return the error of a constraint that is checked only by the commit, which never comes."""
    if connection.dialect.name != "postgresql":
        return None
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    except DBAPIError as error:
        return error
    return None
