"""A second session commits between every two statements of a job: nothing that it commits is lost.

The job adds to a counter in one of the ways below, and the second session adds 100 to it, at one chosen moment of
each run. At the end both must be in the sum, whether the job was interrupted and ran again or not.

A row that a job reads and writes in one and the same transaction is the affair of the isolation level: in READ
COMMITTED PostgreSQL lets others change it in between. There the second session keeps away at those moments, and
the jobs run once more in REPEATABLE READ, where it acts at each of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection, Engine, event, select, update
from sqlalchemy.orm import Session

from fooapp import ActJob, Foo
from instances import Instance
from jobcron import JobStatus

Way = Callable[[Any, Foo], None]


def in_place(job: Any, foo: Foo) -> None:
    foo.frozzled += 1


def computed_before_the_transaction(job: Any, foo: Foo) -> None:
    foo.frozzled = foo.frozzled + 1  # no transaction is open
    job.session.flush()


def computed_before_a_checkpoint(job: Any, foo: Foo) -> None:
    before = foo.frozzled
    job.checkpoint()
    foo.frozzled = before + 1


def after_a_checkpoint_that_wrote_the_row(job: Any, foo: Foo) -> None:
    foo.name += "!"
    job.checkpoint()
    foo.frozzled += 1


def flushed_twice(job: Any, foo: Foo) -> None:
    foo.frozzled += 3
    job.session.flush()
    foo.frozzled -= 2


def in_a_savepoint(job: Any, foo: Foo) -> None:
    with job.session.begin_nested():
        foo.frozzled += 1


def after_a_savepoint_that_was_rolled_back(job: Any, foo: Foo) -> None:
    nested = job.session.begin_nested()
    foo.frozzled += 7
    job.session.flush()
    nested.rollback()
    foo.frozzled += 1


def found_by_a_query(job: Any, foo: Foo) -> None:
    job.session.scalars(select(Foo)).one().frozzled += 1


def refreshed(job: Any, foo: Foo) -> None:
    job.session.refresh(foo)
    foo.frozzled += 1


def expired(job: Any, foo: Foo) -> None:
    job.session.expire(foo)
    foo.frozzled += 1


def merged(job: Any, foo: Foo) -> None:
    before = foo.frozzled
    job.session.merge(Foo(id=foo.id, frozzled=before + 1))


def locked_first(job: Any, foo: Foo) -> None:
    job.session.get(Foo, foo.id, with_for_update=True, populate_existing=True).frozzled += 1


def by_a_statement(job: Any, foo: Foo) -> None:
    job.session.execute(update(Foo).values(frozzled=Foo.frozzled + 1))


def by_a_statement_and_in_place(job: Any, foo: Foo) -> None:
    job.session.execute(update(Foo).values(frozzled=Foo.frozzled + 2))
    foo.frozzled -= 1


WAYS: list[Way] = [
    in_place,
    computed_before_the_transaction,
    computed_before_a_checkpoint,
    after_a_checkpoint_that_wrote_the_row,
    flushed_twice,
    in_a_savepoint,
    after_a_savepoint_that_was_rolled_back,
    found_by_a_query,
    refreshed,
    expired,
    merged,
    locked_first,
    by_a_statement,
    by_a_statement_and_in_place,
]


class SecondSession:
    """Adds 100 at one moment: before the job's n-th begin, statement or commit, up to its completion."""

    def __init__(self, instance: Instance, moment: int, *, is_isolated: bool) -> None:
        self._url = instance.database.engine.url
        self._moment = moment
        self._may_act_after_reads = is_isolated or self._url.get_backend_name() == "sqlite"
        self._has_read = False
        self._is_watching = self._ends_soon = False
        self.moments = 0
        self.added = 0

    def job_begins(self) -> None:
        """Count from here on."""
        self._is_watching, self._ends_soon = True, False

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
        self._has_read |= "FROM foo" in statement

    def _ends(self, connection: Connection) -> None:
        self._pass()
        self._has_read = False
        self._is_watching &= not self._ends_soon

    def _pass(self) -> None:
        if not self._is_watching:
            return
        if self.moments == self._moment and (self._may_act_after_reads or not self._has_read):
            self._add()
        self.moments += 1

    def _add(self) -> None:
        change = "UPDATE foo SET frozzled = frozzled + 100"
        if self._url.get_backend_name() == "sqlite":
            with (
                suppress(sqlite3.OperationalError),
                closing(sqlite3.connect(self._url.database or "", 0)) as other,
            ):
                other.execute(change)
                other.commit()
                self.added += 100
            return
        dsn = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        with suppress(psycopg2.errors.LockNotAvailable), closing(psycopg2.connect(dsn)) as other:
            other.cursor().execute(f"SET lock_timeout = '1ms'; {change}")
            other.commit()
            self.added += 100


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_change_that_a_second_session_commits_is_lost(
    instance: Instance, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.queue.error_rules.back_off", lambda *arguments: 0.0)
    act_at_each_moment(instance, way, monkeypatch, isolation=None)
    if instance.database.dialect == "postgresql":
        act_at_each_moment(instance, way, monkeypatch, isolation="REPEATABLE READ")


def act_at_each_moment(
    instance: Instance, way: Way, monkeypatch: pytest.MonkeyPatch, isolation: str | None
) -> None:
    """Run a job for each moment of its transactions, and look at the sum after each."""

    def run(job: Any) -> None:
        session: Session = job.session
        second.job_begins()
        foo = job.context.foo
        if isolation is not None:
            session.connection(execution_options={"isolation_level": isolation})
        way(job, foo)
        second.job_returns()

    monkeypatch.setattr(ActJob, "run", run)
    acted = 0
    second: SecondSession
    for moment in count():
        with instance.session() as session:
            session.execute(update(Foo).values(frozzled=0))
            foo = session.scalars(select(Foo)).first() or instance.foo(session)
            job = ActJob.create(foo, session=session).job.id
        second = SecondSession(instance, moment, is_isolated=isolation is not None)
        with second.at_work():
            instance.run("act")
        assert instance.row(job).status is JobStatus.COMPLETED, f"moment {moment}"
        ((total,),) = instance.query("SELECT frozzled FROM foo")
        assert total == 1 + second.added, f"moment {moment} of {second.moments}"
        acted += second.added > 0
        if not second.added and moment >= second.moments:
            break
    assert acted
