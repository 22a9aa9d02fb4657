"""Fixtures of the tests of the database: an instance whose database is empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from instances import Instance
from jobcron.testing.server import PrivatePostgreSQL


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Instance]:
    """Return an instance whose database is empty."""
    if request.param == "sqlite":
        instance = Instance(tmp_path / "instance", f"sqlite:///{tmp_path / 'empty.db'}")
        yield instance
        instance.database.close()
        return
    server: PrivatePostgreSQL = request.getfixturevalue("server")
    server.create_database("empty")
    instance = Instance(tmp_path / "instance", server.url("empty"))
    yield instance
    instance.database.close()
    server.drop_database("empty")
