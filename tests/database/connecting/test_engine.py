"""A transaction begins on a connection that works, whatever closed one that rested in the pool."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ended_sessions import end_sessions, wait_for_ends
from faulty_proxy import FaultyProxy
from jobcron.database.connecting import _postgresql
from jobcron.database.connecting.engine import make_engine
from jobcron.database.database import Database
from jobcron.errors import DatabaseUnavailable
from jobcron.testing.server import PrivatePostgreSQL


@pytest.fixture
def database(jobcron_postgresql: str) -> Iterator[Database]:
    """Return a database of PostgreSQL."""
    with closing(Database(jobcron_postgresql)) as database:
        yield database


def process_of(database: Database) -> int:
    """Return the number of the server's process, from a short transaction."""
    with database.begin() as connection:
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


@pytest.mark.feature("LP-22")
@pytest.mark.parametrize("opened", [lambda database: database, Database.companion], ids=["runner", "keeper"])
def test_a_session_that_somebody_ended_while_it_rested_is_replaced(
    database: Database, opened: Callable[[Database], Database]
) -> None:
    with closing(opened(database)) as used:
        before = process_of(used)
        assert end_sessions(database.url) >= 1
        assert process_of(used) != before


def test_all_that_rested_are_replaced(database: Database) -> None:
    with database.begin(), database.begin():
        pass
    assert end_sessions(database.url) == 2
    with database.begin() as one, database.begin() as other:
        assert one.exec_driver_sql("SELECT 1").scalar() == other.exec_driver_sql("SELECT 1").scalar()


@pytest.mark.feature("LP-22")
def test_a_session_that_the_server_ended_because_it_rested_is_replaced(database: Database) -> None:
    # Long enough for a busy machine to set the session up.
    url = f"{database.url}{'&' if '?' in database.url else '?'}options=-c%20idle_session_timeout%3D1000"
    with closing(Database(url)) as impatient:
        before = process_of(impatient)
        wait_for_ends([before])
        assert process_of(impatient) != before


def test_a_session_that_ends_in_a_transaction_is_told(database: Database) -> None:
    def work() -> None:
        with database.begin() as connection:
            connection.exec_driver_sql("SELECT 1")
            end_sessions(database.url)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(DatabaseUnavailable, match="the connection to the database was lost"):
        work()


def test_what_a_session_is_told_while_it_rests_does_not_end_it(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("LISTEN news")
    before = process_of(database)
    with closing(Database(database.url)) as others, others.begin() as connection:
        connection.exec_driver_sql("NOTIFY news")
    assert process_of(database) == before


@pytest.mark.feature("LP-10")
def test_a_connection_is_asked_whether_it_lives_only_after_a_long_rest(
    server: PrivatePostgreSQL, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyProxy(server) as proxy, closing(Database(proxy.url(str(database.engine.url.database)))) as counted:

        def messages() -> int:
            proxy.messages = 0
            process_of(counted)
            return proxy.messages

        messages()
        assert messages() == 3
        monkeypatch.setattr(_postgresql, "IDLE_SECONDS", 0.0)
        assert messages() == 4


def test_a_database_in_memory_outlives_jobs() -> None:
    engine = make_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (id)")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM kept").scalar() == 0


def test_a_new_file_is_for_its_user_alone_and_written_ahead(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'new.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600
    engine.dispose()
