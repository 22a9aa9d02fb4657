"""Where a job is tried: inside one transaction of the database that is never committed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from jobcron.database.after_commit import Waiting, hold_actions
from jobcron.database.database import AmbientDatabase
from jobcron.database.sessions import OwnedSession, use_session
from jobcron.errors import ConfigurationError, FailedJobError
from jobcron.interfaces import DEFAULT_CRASH_LIMIT
from jobcron.jobs.lease import worker_name
from jobcron.operations.forecast._changes import Changes
from jobcron.operations.forecast._queue import SEARCHED
from jobcron.queue.claim import Claimant, claim_one
from jobcron.queue.loading import Claimed, Objects, load_claimed
from jobcron.queue.views import RunnableView, SourceView
from jobcron.reports.mail import Outbox, post
from jobcron.reports.oops import ErrorUtility, globalErrorUtility
from jobcron.reports.reminders import Reminders
from jobcron.runner.source_runner import Guard, JobEnd
from jobcron.settings.settings import Section, Settings

_COMMIT = re.compile(r"(?:^|;)\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(COMMIT|END|PREPARE\s+TRANSACTION)\b", re.I | re.S)


class Stage(AmbientDatabase):
    """A database inside a transaction that is not committed, in whose sessions nothing is done after a commit.

    Args:
        session: it keeps its transaction.
        changes: records what is changed.

    Attributes:
        actions: the actions that wait for a commit that never comes.
    """

    def __init__(self, session: Session, changes: Changes) -> None:
        super().__init__(session)
        self._changes = changes
        self.actions: list[Waiting] = []

    def session(self, *, writing: bool = True) -> OwnedSession:
        """Return a session whose changes are recorded."""
        session = super().session()
        self.actions.append(hold_actions(session))
        event.listen(session, "before_flush", self._changes.flush_begins)
        event.listen(session, "after_flush", self._changes.flushed)
        return session


class OneJob:
    """Hands out one job, once; a `Feed`.

    Args:
        source: the job's source.
        number: the job's number.
        accepts_effects: whether the job may run although it does not declare to work in its database only.
    """

    def __init__(self, source: SourceView, number: int, *, accepts_effects: bool) -> None:
        self._source = source
        self._number: int | None = number
        self._accepts_effects = accepts_effects

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """Claim and load the job.

        Raises:
            ConfigurationError: it may have effects that cannot be undone, and nobody has accepted them.
        """
        number, self._number = self._number, None
        claimed = None if number is None else self._claimed(session, number)
        if claimed is None:
            return []
        if not (claimed.job.database_only or self._accepts_effects):
            raise ConfigurationError(
                f"job {number} is tried for real, and only what it does in this database is undone: mail that it "
                "sends by other means than jobcron.send, HTTP, files and other databases are not. Expected --yes, "
                f"or database_only = True in {claimed.job.class_name}"
            )
        session.commit()
        return [claimed]

    def _claimed(self, session: Session, number: int) -> Claimed | None:
        source = self._source
        found = None if source.loads_rows else self._found(session, number)
        claimant = Claimant(worker_name(), source.lease_seconds, DEFAULT_CRASH_LIMIT)
        claims = claim_one(session.connection(), number, claimant)
        if not claims:
            return None
        if found is not None:
            session.expire_all()
            return Claimed(claims[0], found, Objects.SHARED)
        claimed = load_claimed(source, session, claims[0])
        return claimed._replace(objects=Objects.SHARED) if source.finds_ready_jobs_itself else claimed

    def _found(self, session: Session, number: int) -> RunnableView | None:
        """Return the job as the source yields it, if the source cannot load a job by its number."""
        with use_session(session):
            jobs = islice(self._source.ready(), SEARCHED)
            return next((job for job in jobs if job.row is not None and job.row.id == number), None)

    def took(self, seconds: float) -> None:
        """Do nothing: there is one job."""

    def look_back(self) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing: the job is handed out once."""


class Watch(Guard):
    """Opens the record of changes while the job runs, and keeps how it ended.

    Args:
        changes: the record.

    Attributes:
        end: how the attempt ended; None: there was none.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self.end: JobEnd | None = None

    def around(self, job: RunnableView) -> AbstractContextManager[object]:
        """Return what opens the record while the job's code runs."""
        return self._recorded()

    def job_ended(self, end: JobEnd) -> None:
        """Keep the end."""
        self.end = end

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        self._changes.is_open = True
        try:
            yield
        finally:
            self._changes.is_open = False


def refuse_end(*arguments: object) -> None:
    """Refuse to end the transaction of a connection by its own methods, which do nothing else on a job's behalf.

    Raises:
        FailedJobError: always.
    """
    raise FailedJobError(
        "a job that is tried may commit by its session only: it ended the transaction of its connection"
    )


@contextmanager
def without_commits(engine: Engine, changes: Changes) -> Iterator[list[FailedJobError]]:
    """Refuse each COMMIT that the job sends, on this or another connection of SQLAlchemy's; record its statements.

    Returns:
        What was refused: each is also raised, in the job.
    """
    refusals: list[FailedJobError] = []

    def refuse(reason: str) -> None:
        refusals.append(FailedJobError(f"a job that is tried may commit by its session only: {reason}"))
        raise refusals[-1]

    def committing(connection: Connection) -> None:
        if connection.engine is engine:
            refuse("it used the transaction of its connection")
        if changes.is_open:
            refuse(f"it used a connection of its own, to {connection.engine.url!r}, which could not be undone")

    def look(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        if _COMMIT.search(statement):
            refuse("it sent a COMMIT as SQL")

    listeners: list[tuple[object, str, Callable[..., None]]] = [
        (Engine, "commit", committing),
        (engine, "before_cursor_execute", look),
        (engine, "after_cursor_execute", changes.executed),
    ]
    for listener in listeners:
        event.listen(*listener)
    try:
        yield refusals
    finally:
        for listener in listeners:
            event.remove(*listener)


@contextmanager
def without_reports(settings: Settings, section: Section) -> Iterator[tuple[ErrorUtility, Outbox]]:
    """Keep mail, and drop reports, while a job is tried; those that the job sends or makes itself as well."""
    utility = ErrorUtility()
    utility.configure(section.name, settings)
    utility.config.publisher = lambda report: [str(report["id"])]
    utility.reminders = Reminders()
    outbox, transport, config = Outbox(), post.transport, globalErrorUtility.config
    post.transport, globalErrorUtility.config = outbox, utility.config
    try:
        yield utility, outbox
    finally:
        post.transport, globalErrorUtility.config = transport, config
