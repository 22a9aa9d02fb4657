"""What a statement would take is read from its own text."""

from __future__ import annotations

import pytest

from instances import Instance
from jobcron.database.sql import statement
from jobcron.operations.forecast.reading import Taking, whole_scans, would_take

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

NAMES: tuple[Taking, ...] = ("claim", "dead", "expire")


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_is_read_without_taking_anything(instance: Instance, name: Taking) -> None:
    number = instance.act()
    ((kind,),) = instance.query("SELECT type FROM jobcron_job")
    with instance.database.begin(writing=False) as connection:
        rows = would_take(connection, name, {"type": kind, "batch": 5, "gone": "", "section": "act"})
        assert statement(name, connection.dialect.name)  # which stays as it was
    taken = [row["id"] for row in rows if row["id"] is not None]  # of the dead there is one row at least
    assert taken == ([number] if name == "claim" else [])
    assert instance.row(number).status.name == "WAITING"


@on_postgresql
def test_tables_that_are_read_from_end_to_end_are_named(instance: Instance) -> None:
    parameters = {"type": 1, "batch": 5, "gone": "", "section": "act"}
    with instance.database.begin(writing=False) as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        assert whole_scans(connection, "claim", parameters) == set()
        for kind in ("indexscan", "indexonlyscan", "bitmapscan"):
            connection.exec_driver_sql(f"SET LOCAL enable_seqscan = on; SET LOCAL enable_{kind} = off")
        assert "jobcron_job" in whole_scans(connection, "claim", parameters)
