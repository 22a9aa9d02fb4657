"""A private PostgreSQL server for tests."""

from __future__ import annotations

from pathlib import Path

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


def execute(url: str, statement: str) -> None:
    """Execute a statement on a connection of its own."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
