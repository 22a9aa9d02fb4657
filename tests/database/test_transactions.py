"""Transactions on SQLite: who creates jobs has the lock for writing before anything is read."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from fooapp import DoFooJob, Foo
from functionapp import export
from instances import Instance
from jobcron import Job, SchemaMismatch, new_job, prepare_engine
from jobcron.steps import StepsJob


class Errand(StepsJob):
    """A job of one task."""

    name = "errand_of_transactions"
    tasks = [lambda job: None]


CREATORS: list[Callable[[Session, Foo], object]] = [
    lambda session, foo: DoFooJob.create(foo),
    lambda session, foo: DoFooJob.acquire(foo),
    lambda session, foo: DoFooJob.createMultiple([foo, foo]),
    lambda session, foo: export.options(eta=60, identity_key="k").delay(session, "a"),
    lambda session, foo: Errand.create(session=session),
    lambda session, foo: Errand.createMultiple([{}, {}], session=session),
    lambda session, foo: Errand.acquire(unique_key="k", session=session),
    lambda session, foo: new_job(session, "others.JOB"),
    lambda session, foo: session.get_one(Job, 1).cancel(),
]


@pytest.fixture
def database_url(jobcron_sqlite: str) -> str:
    """Return the URL of a database of SQLite's."""
    return jobcron_sqlite


def with_deferred_transactions(url: str) -> Engine:
    """Return an application's engine as SQLAlchemy's documentation advises to make one."""
    engine = create_engine(url)
    event.listen(engine, "connect", lambda connection, record: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


@pytest.fixture
def others(instance: Instance) -> Iterator[sqlite3.Connection]:
    """Return a connection of somebody's who writes and waits for nobody."""
    connection = sqlite3.connect(str(instance.database.engine.url.database), isolation_level=None, timeout=0)
    yield connection
    connection.close()


def write(connection: sqlite3.Connection) -> bool:
    """Commit a row if that is possible now."""
    try:
        connection.execute("INSERT INTO ledger (job, attempt, note) VALUES (0, 0, 'of others')")
    except sqlite3.OperationalError:
        return False
    return True


@pytest.mark.parametrize("creator", CREATORS[:-1])
def test_a_creator_lets_nobody_commit_between_its_reads_and_its_writes(
    instance: Instance, others: sqlite3.Connection, creator: Callable[[Session, Foo], object]
) -> None:
    engine = with_deferred_transactions(instance.url)
    with Session(engine, expire_on_commit=False) as session:
        foo = Foo()
        session.add(foo)
        session.commit()
        event.listen(engine, "after_cursor_execute", lambda *arguments: write(others))
        creator(session, foo)
        session.commit()
    engine.dispose()
    assert instance.rows()


@pytest.mark.parametrize("creator", CREATORS)
@pytest.mark.parametrize("is_prepared", [False, True])
def test_a_caller_that_has_read_can_create_after_others_tried_to_commit(
    instance: Instance, others: sqlite3.Connection, is_prepared: bool, creator: Callable[[Session, Foo], object]
) -> None:
    instance.act()
    engine = prepare_engine(create_engine(instance.url)) if is_prepared else instance.database.engine
    with Session(engine) as session:
        foo = session.scalars(select(Foo)).first()
        assert foo is not None
        assert not write(others)
        creator(session, foo)
        session.commit()
    engine.dispose()
    assert write(others)


def test_an_engine_that_cannot_write_any_more_is_told_what_it_needs(
    instance: Instance, others: sqlite3.Connection
) -> None:
    instance.act()
    engine = with_deferred_transactions(instance.url)
    with Session(engine) as session:
        foo = session.scalars(select(Foo)).first()
        assert write(others)
        with pytest.raises(OperationalError, match="database is locked") as caught:
            DoFooJob.create(foo, session=session)
    engine.dispose()
    assert "jobcron.prepare_engine(engine)" in "".join(caught.value.__notes__)


def test_jobs_made_in_a_savepoint_go_with_the_callers_rollback_whatever_the_engine(instance: Instance) -> None:
    engine = create_engine(instance.url)  # its driver begins no transaction before a SAVEPOINT
    with Session(engine) as session:
        Errand.createMultiple([{}, {}], session=session)
        session.rollback()
    engine.dispose()
    assert instance.rows() == []


def test_a_plain_engine_of_a_database_without_tables_is_told_so(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with Session(engine) as session, pytest.raises(SchemaMismatch, match="run `jobcron upgrade`"):
        Errand.create(session=session)
    engine.dispose()


def test_a_transaction_that_reads_takes_no_lock(instance: Instance, others: sqlite3.Connection) -> None:
    engine = prepare_engine(create_engine(instance.url))
    for reading in (instance.database.reading, engine.execution_options(jobcron_begin="DEFERRED")):
        with reading.connect() as connection:
            connection.execute(text("SELECT 1 FROM foo"))
            assert write(others)
    with Session(engine) as session:
        session.connection(execution_options={"jobcron_begin": "DEFERRED"})
        session.scalars(select(Foo)).all()
        assert write(others)
    engine.dispose()


@pytest.mark.parametrize(("own", "asked", "found"), [(5, 30, 30_000), (60, 30, 60_000)])
def test_a_prepared_engine_waits_for_the_lock_as_long_as_is_asked_or_longer(
    instance: Instance, own: float, asked: float, found: int
) -> None:
    engine = prepare_engine(create_engine(instance.url, connect_args={"timeout": own}), asked)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == found
    engine.dispose()


def test_a_connection_that_commits_by_itself_holds_no_lock(instance: Instance, others: sqlite3.Connection) -> None:
    engine = prepare_engine(create_engine(instance.url))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("INSERT INTO foo (name, frozzled) VALUES ('a', 0)")
        assert write(others)
    engine.dispose()


def test_an_engine_of_another_database_is_left_as_it_is() -> None:
    engine = create_engine("postgresql+psycopg2://host/database")
    before: Any = engine.dialect.do_begin
    assert prepare_engine(engine) is engine
    assert engine.dialect.do_begin == before


def test_who_waits_for_the_lock_gets_it_within_milliseconds_of_its_release(instance: Instance) -> None:
    """SQLite itself asks ten times a second where somebody has waited long, and so mostly comes too late."""
    waited = []
    for _ in range(5):
        holder = sqlite3.connect(
            str(instance.database.engine.url.database), isolation_level=None, check_same_thread=False
        )
        holder.execute("BEGIN IMMEDIATE")
        released: list[float] = []

        def release(holder: sqlite3.Connection = holder, released: list[float] = released) -> None:
            released.append(time.monotonic())
            holder.close()

        timer = threading.Timer(0.34, release)
        timer.start()
        with instance.database.begin():
            waited.append(time.monotonic() - released[0])
        timer.join()
    assert min(waited) < 0.04
