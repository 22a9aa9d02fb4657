"""One attempt at one job: the lease under which it runs, and the fence that its commits pass."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from jobcron.database.statements import execute
from jobcron.jobs.job import Job
from jobcron.jobs.lease import lost
from jobcron.queue.error_rules import Counts
from jobcron.queue.loading import Claimed
from jobcron.runner._fence import check_fence

COPY_STATUS = 70
"""What a forked copy of a runner leaves with: EX_SOFTWARE of sysexits.h."""


class Attempt:
    """A job while it runs.

    Attributes:
        claim: the job's number and our lease token.
        job: what is run.
        session: the session in which the job works.
        lease_seconds: how long each renewal lasts.
        time_limit: seconds that the job may run, or None.
        progress: per cent done, as the job says; the keeper writes it.
        uuid: the job's.
        counts: of attempts, when it began.
        name: what logs call the job.
        waited: seconds that it was ready before it was taken, or None where nobody knows.
        statements: what it asked of the database, where it failed.
        must_stop: tells whether somebody asked the run to stop: a job that can stop in between does.
        interrupted: what it was first interrupted with, by the keeper or a signal.
        trouble: the error with which the database first interrupted the transaction that is open.
        connection: that of its last transaction.
        renew_at: when the lease is to be renewed, by the monotonic clock.
        deadline: when it has run too long, by the monotonic clock.
        is_written: whether its outcome is in the database already.
        finishing: whether its last statement, which was fenced itself, is done: the commit asks no more.
        commit_begun: whether the COMMIT after that was tried: whatever is raised then, the row tells.
        process: the number of the process that runs it.
        started: when it began, by the monotonic clock.
    """

    def __init__(
        self,
        claimed: Claimed,
        session: Session,
        lease_seconds: float,
        time_limit: float | None = None,
    ) -> None:
        claim, job = claimed
        row = job.row
        # Plain values: the row's own are gone after a rollback, when they are needed.
        self.uuid = uuid4() if row is None else row.uuid
        self.counts = Counts() if row is None else Counts(row.attempt_count, row.crash_count, row.max_retries)
        self.waited = None if row is None or self.counts.crashes else _waited(row)
        self.name = f"{job.class_name} (ID {claim.id})"
        self.claim = claim
        self.job = job
        self.session = session
        self.lease_seconds = lease_seconds
        self.time_limit = time_limit
        self.progress: int | None = None
        self.process = os.getpid()
        self.started = time.monotonic()
        self.renew_at = claim.taken + lease_seconds / 3  # the lease began with the claim
        self.deadline = None if time_limit is None else self.started + time_limit
        self.is_written = False
        self.finishing = False
        self.commit_begun = False
        self.interrupted: BaseException | None = None
        self.trouble: BaseException | None = None
        self.connection: Connection | None = None
        self.statements: list[tuple[int, int, str, str]] = []
        self.must_stop: Callable[[], bool] = lambda: False

    @property
    def token(self) -> int:
        """The fencing token: each claim of a job has a greater one."""
        return self.claim.token

    @property
    def class_name(self) -> str:
        """The name of the job's class."""
        return self.job.class_name

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that every fenced statement has."""
        return {"id": self.claim.id, "token": self.claim.token, "progress": self.progress}

    def run(self) -> None:
        """Run the job.

        A copy of this process that the job made by ``os.fork`` and let come back from ``run`` leaves at once: it
        shares our connection, and would commit the job a second time.
        """
        try:
            self.job.run()
        finally:
            if os.getpid() != self.process:
                os._exit(COPY_STATUS)

    def limit_to(self, seconds: float | None) -> None:
        """Let the job run so long at most, from now on; what interrupted it before counts no more."""
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.interrupted, self.time_limit = None, seconds

    def start_counts_afresh(self) -> None:
        """Count attempts from here on: what the job has committed so far is not done again."""
        self.counts = Counts(max_retries=self.counts.max_retries)

    def cancel_statement(self) -> None:
        """Stop the statement that the job waits for, if it does; called by the keeper, from its own thread.

        A signal reaches Python code only when the database driver returns.
        """
        driver = None
        with suppress(Exception):  # no connection yet, or not any more: then there is nothing to stop
            assert self.connection is not None
            driver = self.connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.interrupt()
        elif driver is not None:
            driver.cancel()

    def checkpoint(self) -> None:
        """Commit what was done, if the job is still ours, and renew the lease in the same transaction.

        Raises:
            LeaseLost: the job is not ours any more; nothing was committed.
        """
        self.session.flush()
        # The fence first: it waits for whoever holds the row, the keeper for one, which a renewal passes over.
        check_fence(self.session.connection(), self)
        renewed = execute(
            self.session.connection(),
            "renew",
            {**self.parameters, "lease_seconds": self.lease_seconds},
        )
        if renewed.rowcount != 1:
            raise lost(self.claim)
        self.session.commit()
        self.renew_at = time.monotonic() + self.lease_seconds / 3


def _waited(row: Job) -> float | None:
    """Return how long a job was ready, by the database's clock."""
    if row.date_started is None:
        return None
    return max(0.0, (row.date_started - max(row.date_created, row.scheduled_start)).total_seconds())
