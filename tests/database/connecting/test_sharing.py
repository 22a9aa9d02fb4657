"""A transaction that jobs share: no statement of one of them may end it, or reach the next."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from instances import Instance
from jobcron.database.connecting.sharing import Shared, may_share
from jobcron.errors import LeavesGroup


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        " -- a comment\n/* and another */ select 1 ;",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH a AS (SELECT 1) UPDATE t SET n = 1",
        "INSERT INTO t VALUES (1)",
        "SAVEPOINT a",
        "ROLLBACK TO SAVEPOINT a",
        "RELEASE SAVEPOINT a",
    ],
)
def test_what_works_on_rows_may_be_sent(statement: str) -> None:
    assert may_share(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "ROLLBACK",
        "END",
        "BEGIN",
        "SET ROLE someone",
        "SET CONSTRAINTS ALL DEFERRED",
        "CREATE TEMP TABLE t (n int)",
        "PRAGMA foreign_keys = OFF",
        "ATTACH 'x' AS x",
        "LISTEN a",
        "DISCARD ALL",
        "SELECT 1; COMMIT",
        "/* SELECT */ COMMIT",
        "",
    ],
)
def test_what_ends_the_transaction_or_lasts_may_not(statement: str) -> None:
    assert not may_share(statement)


def test_neither_a_statement_nor_the_driver_ends_it(instance: Instance) -> None:
    instance.query("CREATE TABLE t (n INTEGER)")
    with instance.database.engine.connect() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        driver = connection.connection.driver_connection
        assert isinstance(driver, Shared)
        driver.begin_sharing()
        cursor = driver.cursor()  # type: ignore[attr-defined]
        for attempt in (lambda: cursor.execute("COMMIT"), driver.commit):  # type: ignore[attr-defined]
            with pytest.raises(LeavesGroup):
                attempt()
            assert driver.breach
        driver.end_sharing()
        connection.commit()
    assert instance.query("SELECT count(*) FROM t") == [(1,)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("method", ["execute", "executemany", "executescript"])
def test_nor_do_the_methods_of_a_connection_to_sqlite_that_stand_for_a_cursor_s(
    instance: Instance, method: str
) -> None:
    with instance.database.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        driver = connection.connection.driver_connection
        assert isinstance(driver, Shared)
        driver.begin_sharing()
        with pytest.raises(LeavesGroup):
            getattr(driver, method)("COMMIT", *[[]] * (method == "executemany"))
        assert driver.breach
        driver.end_sharing()


def test_a_rollback_is_noted(instance: Instance) -> None:
    with instance.database.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        driver = connection.connection.driver_connection
        assert isinstance(driver, Shared)
        driver.begin_sharing()
        connection.rollback()
        assert driver.breach == "rolled back"
        driver.end_sharing()
