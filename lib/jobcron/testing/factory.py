"""A session for a test, and jobs in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from jobcron.database import sessions
from jobcron.database.clock import database_now
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.jobs.source import new_job
from jobcron.jobs.status import ENDED
from jobcron.reports.mail import Outbox, post


@contextmanager
def use_session(session: Session) -> Iterator[Session]:
    """Make scripts that are given ``test_args`` work in this session's transaction inside the block.

    Each transaction of a script is a savepoint, mail goes to `outbox`, and nothing is committed.
    """
    transport = post.transport
    post.transport = Outbox()
    try:
        with sessions.use_session(session):
            yield session
    finally:
        post.transport = transport


def outbox() -> Outbox:
    """Return the mail that was sent inside the current `use_session` block."""
    assert isinstance(post.transport, Outbox), "expected to be inside use_session()"
    return post.transport


@contextmanager
def database_session(engine: Engine) -> Iterator[Session]:
    """Open a session whose commits only release savepoints: the end of the block rolls back all its work.

    The session becomes the ambient session (`use_session`).

    Args:
        engine: the test database's engine. On SQLite use jobcron's (`jobcron.Database(url).engine`), so that
            savepoints work.
    """
    with engine.connect() as connection:
        transaction = connection.begin()
        session = Session(connection, join_transaction_mode="create_savepoint")
        try:
            with use_session(session):
                yield session
        finally:
            session.close()
            transaction.rollback()


class JobFactory:
    """Creates shared rows of jobs in any status, for tests of code that examines jobs.

    Args:
        session: the session for the rows.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def makeJob(
        self, status: JobStatus = JobStatus.WAITING, type_name: str = "testing.JOB", **values: object
    ) -> Job:
        """Return a new job, with everything that its status requires, such as an end time or a lease.

        Args:
            status: the job's status.
            type_name: the job's type.
            values: values of the row.
        """
        now = self.session.scalars(select(database_now())).one()
        if status in ENDED:
            values.setdefault("date_finished", now)
        if status is JobStatus.RUNNING:
            values.setdefault("lease_expires", now + timedelta(minutes=5))
            values.setdefault("date_started", now)
            values.setdefault("lease_token", 1)
            values.setdefault("attempt_count", 1)
        return new_job(self.session, type_name, _status=status, **values)
