"""A second session that commits a change at one chosen moment of a job, and a proof that tries every moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from typing import Any, NamedTuple

import psycopg2
import pytest
from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.orm import Session

from fooapp import ActJob, Foo
from instances import Instance
from jobcron import JobStatus


class Case(NamedTuple):
    """What a job and a second session do to the same rows.

    Attributes:
        rows: makes the rows as they are at first, or makes them so again.
        reads: what only statements that read these rows contain.
        change: what the second session executes, and commits.
        run: what the job does; it calls ``job_begins`` of the second session when that may act, and
            ``transaction_begins`` before its first transaction that writes.
        check: asserts that nothing is lost, given how often the second session has acted: at most once.
    """

    rows: Callable[[Instance], None]
    reads: str
    change: str
    run: Callable[[Any, SecondSession], None]
    check: Callable[[Instance, int], None]


class SecondSession:
    """Acts at one moment: before the job's n-th begin, statement or commit, up to its completion.

    Attributes:
        moments: how many there were so far.
        acted: how often it has committed its change.
    """

    def __init__(self, instance: Instance, case: Case, moment: int, *, is_isolated: bool) -> None:
        self._url = instance.database.engine.url
        self._case = case
        self._moment = moment
        self._is_isolated = is_isolated
        self._may_act_after_reads = is_isolated or self._url.get_backend_name() == "sqlite"
        self._has_read = False
        self._is_watching = self._ends_soon = False
        self.moments = 0
        self.acted = 0

    def job_begins(self) -> None:
        """Count from here on."""
        self._is_watching, self._ends_soon = True, False

    def transaction_begins(self, session: Session) -> None:
        """Begin a job's transaction in REPEATABLE READ, if it is to be so."""
        if self._is_isolated:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    def job_returns(self) -> None:
        """Count until the next commit, which completes the job."""
        self._ends_soon = True

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Watch every connection of SQLAlchemy's."""
        listeners: list[tuple[str, Callable[..., None]]] = [
            ("begin", self._begins),
            ("before_cursor_execute", self._before),
            ("commit", self._ends),
            ("rollback", self._ends),
        ]
        for name, listener in listeners:
            event.listen(Engine, name, listener)
        try:
            yield
        finally:
            for name, listener in listeners:
                event.remove(Engine, name, listener)

    def _begins(self, connection: Connection) -> None:
        self._pass()

    def _before(self, connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        self._pass()
        self._has_read |= self._case.reads in statement

    def _ends(self, connection: Connection) -> None:
        self._pass()
        self._has_read = False
        self._is_watching &= not self._ends_soon

    def _pass(self) -> None:
        if not self._is_watching:
            return
        if self.moments == self._moment and (self._may_act_after_reads or not self._has_read):
            self._act()
        self.moments += 1

    def _act(self) -> None:
        if self._url.get_backend_name() == "sqlite":
            with (
                suppress(sqlite3.OperationalError),
                closing(sqlite3.connect(self._url.database or "", 0)) as other,
            ):
                other.executescript(f"BEGIN IMMEDIATE; {self._case.change}; COMMIT")
                self.acted += 1
            return
        dsn = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        with suppress(psycopg2.errors.LockNotAvailable), closing(psycopg2.connect(dsn)) as other:
            other.cursor().execute(f"SET lock_timeout = '1ms'; {self._case.change}")
            other.commit()
            self.acted += 1


def act_at_each_moment(instance: Instance, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a job for each moment of its transactions, also in REPEATABLE READ, and look at the rows after each."""
    monkeypatch.setattr("jobcron.queue.error_rules.back_off", lambda *arguments: 0.0)
    _act_at_each_moment(instance, case, monkeypatch, is_isolated=False)
    if instance.database.dialect == "postgresql":
        _act_at_each_moment(instance, case, monkeypatch, is_isolated=True)


def _act_at_each_moment(
    instance: Instance, case: Case, monkeypatch: pytest.MonkeyPatch, *, is_isolated: bool
) -> None:
    second: SecondSession

    def run(job: Any) -> None:
        case.run(job, second)
        second.job_returns()

    monkeypatch.setattr(ActJob, "run", run)
    acted = 0
    for moment in count():
        case.rows(instance)
        with instance.session() as session:
            foo = session.scalars(select(Foo)).first() or instance.foo(session)
            job = ActJob.create(foo, session=session).job.id
        second = SecondSession(instance, case, moment, is_isolated=is_isolated)
        with second.at_work():
            instance.run("act")
        told = f"moment {moment} of {second.moments}: {instance.query('SELECT detail FROM jobcron_event')}"
        assert instance.row(job).status is JobStatus.COMPLETED, told
        case.check(instance, second.acted)
        acted += second.acted
        if not second.acted and moment >= second.moments:
            break
    assert acted
