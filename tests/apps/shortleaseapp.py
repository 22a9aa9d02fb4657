"""Jobs with short leases and time limits, and `ActJob` with more verbs: for tests of the keeper and the fence.

`register_with_quick_keeper` is the ``application`` of processes that the tests start: a keeper that looks every
second would make each test last seconds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar, Self

from sqlalchemy import create_engine, text

import fooapp
from fooapp import ActJob, Ledger
from jobcron import Database, JobType
from jobcron.runner import _keeper

POLL_SECONDS = 0.05
GIVE_BACK_SECONDS = 0.4
LEASE_SECONDS = 1.5
TIME_LIMIT_SECONDS = 1.0

SECTIONS = """
[busy]
source_interface: shortleaseapp.BusyJob

[brief]
source_interface: shortleaseapp.BriefJob

[brief_again]
source_interface: shortleaseapp.BriefJob

[limited]
source_interface: shortleaseapp.LimitedJob

[own_order]
source_interface: shortleaseapp.OwnOrderJob
"""


class HastyJobType(JobType):
    """The types of this module: of the family of foos, with numbers that no other has."""

    BUSY = 10
    BRIEF = 11
    LIMITED = 12
    OWN_ORDER = 13


def _url() -> str:
    """Return the database's URL, with which SQLite waits for a short while."""
    url = os.environ["TEST_DATABASE_URL"]
    return f"{url}?timeout=0.5" if url.startswith("sqlite") else url


class BusyJob(ActJob):
    """Does what its data says, in more words."""

    class_job_type: ClassVar[Any] = HastyJobType.BUSY

    def act_sql_elsewhere(self, statement: str) -> None:
        """Execute and commit a statement about this job, over a connection of its own."""
        changed = self._execute_elsewhere(statement)
        assert changed == 1

    def act_try_sql_elsewhere(self, statement: str) -> None:
        """Do the same, whether or not it changes a row."""
        self._execute_elsewhere(statement)

    def act_sql_by_database(self, statement: str) -> None:
        """Execute and commit a statement by an engine of jobcron's, which waits for a second on SQLite."""
        with Database(os.environ["TEST_DATABASE_URL"], busy_seconds=1).begin() as connection:
            connection.execute(text(statement), {"id": self.job.id})

    def act_sql_by_engine(self, statement: str) -> None:
        """Execute and commit a statement by an engine of the application's."""
        with create_engine(_url()).begin() as connection:
            connection.execute(text(statement), {"id": self.job.id})

    def act_sql_by_driver(self, statement: str) -> None:
        """Execute a statement over a connection of the driver's, without SQLAlchemy."""
        driver = create_engine(_url()).raw_connection().driver_connection
        assert driver is not None
        driver.cursor().execute(statement.replace(":id", str(self.job.id)))

    def act_sql_by_thread(self, statement: str) -> None:
        """Execute and commit a statement by an engine of the application's in a thread, and wait for that."""
        with ThreadPoolExecutor() as pool:
            pool.submit(self.act_sql_by_engine, statement).result()

    def act_sql_in_background(self, statement: str) -> None:
        """Do that in a thread for which nobody waits."""
        threading.Thread(target=self.act_sql_by_engine, args=(statement,), daemon=True).start()

    def _execute_elsewhere(self, statement: str) -> int:
        database = Database(os.environ["TEST_DATABASE_URL"])
        try:
            with database.begin() as connection:
                return connection.execute(text(statement), {"id": self.job.id}).rowcount
        finally:
            database.close()

    def act_savepoint(self, note: str) -> None:
        """Write inside a savepoint."""
        with self.session.begin_nested():
            self.act_write(note)

    def act_add(self, note: str) -> None:
        """Leave a ledger row to be written when the job has returned."""
        self.session.add(Ledger(job=self.job.id, attempt=self.job.attempt_count, note=note))

    def act_connection_commit(self, argument: str) -> None:
        """Commit past the session."""
        self.session.connection().commit()

    def act_stubborn_connection_commit(self, argument: str) -> None:
        """Commit past the session, again and again, and swallow whatever comes of it."""
        for _ in range(2):
            with suppress(BaseException):
                self.session.connection().commit()

    def act_stubborn_commit(self, argument: str) -> None:
        """Commit, and swallow whatever comes of it."""
        with suppress(BaseException):
            self.session.commit()

    def act_expect_no_transaction(self, argument: str) -> None:
        """Fail where the job has begun with a transaction open."""
        assert not self.session.in_transaction()

    def act_note(self, note: str) -> None:
        """Change the job's own row."""
        self.metadata["note"] = note
        self.session.flush()

    def act_signal(self, number: int) -> None:
        """Send a signal to the job's own process."""
        os.kill(os.getpid(), number)

    def act_compute_until(self, path: str) -> None:
        """Use the processor, and wait for nothing, until a file is there."""
        while not os.path.exists(path):
            sum(range(1000))

    def act_stubborn_wait(self, path: str) -> None:
        """Swallow what can be swallowed, again and again."""
        while not os.path.exists(path):
            self.act_stubborn_sleep(0.05)


class BriefJob(BusyJob):
    """Has a lease that ends soon."""

    class_job_type = HastyJobType.BRIEF
    lease_duration = timedelta(seconds=LEASE_SECONDS)


class LimitedJob(BusyJob):
    """Has little time."""

    class_job_type = HastyJobType.LIMITED
    time_limit = timedelta(seconds=TIME_LIMIT_SECONDS)


class OwnOrderJob(BusyJob):
    """Finds its ready jobs in its own way: the latest first."""

    class_job_type = HastyJobType.OWN_ORDER

    @classmethod
    def iterReady(cls, *, session: Any = None) -> Iterator[Self]:
        """Yield the ready jobs backwards."""
        return iter(list(super().iterReady(session=session))[::-1])


def register_with_quick_keeper() -> None:
    """Register what fooapp registers, and make this process's keeper look often."""
    fooapp.register()
    _keeper.POLL_SECONDS = _keeper.OWN_WAIT_SECONDS = POLL_SECONDS
    _keeper.GIVE_BACK_SECONDS = GIVE_BACK_SECONDS


def register_with_patient_keeper() -> None:
    """Register what fooapp registers, and let this process's keeper take no job for slow."""
    fooapp.register()
    _keeper.GIVE_BACK_SECONDS = 600.0
