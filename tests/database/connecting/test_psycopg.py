"""What is particular to connections of psycopg 3; the rest is as with psycopg2, and is tested with both."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from instances import Instance
from jobcron import Database
from jobcron.database.connecting.engine import PAUSE_SECONDS
from jobcron.database.trouble import Interruption, interruption_of, reason_of

pytestmark = pytest.mark.parametrize("database_url", ["psycopg"], indirect=True)


@pytest.fixture
def database(instance: Instance) -> Iterator[Database]:
    """Return a database whose connections count the ends of jobs."""
    with closing(Database(instance.url)) as database:
        yield database


def driver_of(connection: Any) -> Any:
    """Return the driver's connection."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def by_composing(driver: Any) -> None:
    """Execute a statement that is an object."""
    driver.cursor().execute(sql.SQL("SELECT {}").format(sql.Literal(1)))


def by_bytes(driver: Any) -> None:
    """Execute bytes, with parameters."""
    driver.execute(b"SELECT %s", (1,))


def by_several(driver: Any) -> None:
    """Execute several statements as one text; the first result is the first one's."""
    cursor = driver.execute("SELECT 'a;%'; SELECT 'b'")
    assert cursor.fetchone() == ("a;%",)
    assert cursor.nextset()
    assert cursor.fetchone() == ("b",)


def by_parameters(driver: Any) -> None:
    """Execute one statement, whose result is the cursor's, whatever was sent with it."""
    cursor = driver.execute("SELECT %(name)s, '%%'", {"name": "é"})
    assert (cursor.rowcount, cursor.fetchall(), cursor.nextset()) == (1, [("é", "%")], None)


def by_many(driver: Any) -> None:
    """Execute a statement again and again."""
    driver.cursor().executemany("SELECT %s", [(1,), (2,)])


def by_copying(driver: Any) -> None:
    """Copy rows from the server."""
    with driver.cursor().copy("COPY (SELECT 1) TO STDOUT") as copy:
        assert [bytes(part) for part in copy] == [b"1\n"]


def by_streaming(driver: Any) -> None:
    """Take rows as they come."""
    assert list(driver.cursor().stream("SELECT 1")) == [(1,)]


def by_a_pipeline(driver: Any) -> None:
    """Send statements without waiting for each."""
    with driver.pipeline():
        assert driver.execute("SELECT %s", (1,)).fetchone() == (1,)


def by_a_cursor_of_the_server(driver: Any) -> None:
    """Use a cursor that the server has, which needs a transaction."""
    if driver.autocommit:
        driver.execute("BEGIN")
    driver.cursor(name="served").execute("SELECT 1")
    driver.execute("CLOSE served")
    if driver.autocommit:
        driver.execute("COMMIT")


WAYS = [
    by_composing,
    by_bytes,
    by_several,
    by_parameters,
    by_many,
    by_copying,
    by_streaming,
    by_a_pipeline,
    by_a_cursor_of_the_server,
]


@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize("use", WAYS)
def test_however_the_next_job_begins_it_finds_nothing(
    database: Database, use: Callable[[Any], None], autocommit: bool
) -> None:
    with database.engine.connect() as connection:
        connection.execute(text("SET jobcron.mine = 'x'; SET statement_timeout = '9s'"))
        connection.execute(text("SELECT pg_advisory_lock(7)"))
        connection.commit()
    database.job_ended()
    with database.engine.connect() as connection:
        driver = driver_of(connection)
        driver.autocommit = autocommit
        use(driver)
        found = driver.execute(
            "SELECT current_setting('jobcron.mine', true), current_setting('statement_timeout'),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        ).fetchone()
        assert found[1:] == ("0", 0)
        assert not found[0]
        assert driver.info.transaction_status.name == ("IDLE" if autocommit else "INTRANS")
        driver.rollback()
        driver.autocommit = False


def test_what_a_job_changed_of_the_driver_is_put_back(database: Database) -> None:
    with database.engine.connect() as connection:
        driver = driver_of(connection)
        known = driver.isolation_level, driver.read_only, driver.autocommit, driver.cursor_factory
        driver.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        driver.read_only = True
        driver.cursor_factory = psycopg.Cursor
        driver.row_factory = psycopg.rows.dict_row
        driver.prepare_threshold = 1
    database.job_ended()
    with database.engine.connect() as connection:
        again = driver_of(connection)
        assert again is driver
        assert known == (driver.isolation_level, driver.read_only, driver.autocommit, driver.cursor_factory)
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"


def test_the_transaction_begins_again_with_its_own_characteristics(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.commit()
        database.job_ended()
        driver = driver_of(connection)
        driver.isolation_level, driver.read_only = psycopg.IsolationLevel.SERIALIZABLE, True
        found = connection.execute(
            text("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
        ).one()
        assert tuple(found) == ("serializable", "on")
        connection.rollback()
        driver.isolation_level, driver.read_only = psycopg.IsolationLevel.READ_COMMITTED, None


class Stop(Exception):
    """What a signal raises."""


def test_a_statement_ends_when_a_signal_ends_the_wait_and_the_connection_goes_on(database: Database) -> None:
    def stop(*arguments: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with database.engine.connect() as connection:
            driver = driver_of(connection)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            began = time.monotonic()
            with pytest.raises(Stop):
                driver.execute("SELECT pg_sleep(30)")
            assert time.monotonic() - began < 10
            driver.rollback()
            assert driver.execute("SELECT 2").fetchone() == (2,)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_why_the_server_ended_a_connection_is_known(database: Database, instance: Instance) -> None:
    with database.engine.connect() as connection:
        number = connection.scalar(text("SELECT pg_backend_pid()"))
        instance.query("SELECT pg_terminate_backend(:number)", number=number)
        time.sleep(PAUSE_SECONDS + 0.1)
        with pytest.raises(DBAPIError) as lost:
            connection.execute(text("SELECT 1"))
    assert interruption_of(lost.value) is Interruption.CONNECTION_LOST
    assert reason_of(lost.value) == "terminating connection due to administrator command"
