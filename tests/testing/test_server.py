"""A private PostgreSQL server for tests."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import create_engine, text

from jobcron.testing import server as server_module
from jobcron.testing.server import MEMORY, PrivatePostgreSQL


@pytest.mark.feature("LP-30")
@pytest.mark.parametrize(("least", "place"), [(0, MEMORY), (1 << 62, Path("/tmp"))])
def test_the_files_of_a_server_are_in_memory_where_there_is_room(
    least: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MEMORY_BYTES", least)
    with PrivatePostgreSQL(in_memory=True) as server:
        assert server.directory.parent == (place if MEMORY.exists() else Path("/tmp"))
        server.create_database("shop")
        execute(server.url("shop"), "CREATE TABLE sale (id int)")
        server.create_database("copy", template="shop")
        execute(server.url("copy"), "INSERT INTO sale VALUES (1)")
    assert not server.directory.exists()


@pytest.mark.feature("LP-30")
def test_databases_are_created_after_each_end_of_the_server_or_of_its_connections() -> None:
    with PrivatePostgreSQL(in_memory=True) as server:
        server.create_database("before")
        for mode in ("smart", "fast", "immediate"):  # a smart stop waits for whoever is connected
            server.restart(mode)
            server.create_database(mode)
        everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        execute(server.url("before"), everybody)
        server.drop_database("before")
        with pytest.raises(psycopg2.errors.DuplicateDatabase):
            server.create_database("fast")
        server.create_database("after", template="smart")
        execute(server.url("after"), "SELECT 1")


def execute(url: str, statement: str) -> None:
    """Execute a statement on a connection of its own."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
