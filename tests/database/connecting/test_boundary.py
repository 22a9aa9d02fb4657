"""What a job leaves on a connection is put back at the boundary to the next, at no round trip."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2.extras
import pytest
from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.exc import DBAPIError

from faulty_proxy import FaultyProxy
from fooapp import Foo
from instances import Instance
from jobcron import Job, JobStatus
from jobcron.database.database import Database
from jobcron.database.statements import execute
from jobcron.database.upgrade import upgrade_schema
from jobcron.testing.server import PrivatePostgreSQL

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

LEFT = {
    "a search path": ("SET search_path = elsewhere", "SHOW search_path"),
    "a setting": ("SELECT set_config('app.tenant', '1', false)", "SELECT current_setting('app.tenant', true)"),
    "a time zone": ("SET TIME ZONE 'Asia/Tokyo'", "SHOW TimeZone"),
    "a role": ("SET ROLE pg_monitor", "SELECT current_user"),
    "a user": ("SET SESSION AUTHORIZATION pg_monitor", "SELECT session_user"),
    "a timeout": ("SET statement_timeout = '1h'", "SHOW statement_timeout"),
    "reading only": ("SET default_transaction_read_only = on", "SHOW transaction_read_only"),
    "an isolation": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SHOW default_transaction_isolation",
    ),
    "a lock": (
        "SELECT pg_advisory_lock(5)",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    ),
    "a channel": ("LISTEN news", "SELECT count(*) FROM pg_listening_channels()"),
    "a temporary table": ("CREATE TEMP TABLE kept (id int)", "SELECT to_regclass('pg_temp.kept')::text"),
    "a statement": ("PREPARE kept AS SELECT 1", "SELECT count(*) FROM pg_prepared_statements"),
    "a cursor": ("DECLARE kept CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_cursors"),
    "what a function set": (
        "DO $$ BEGIN PERFORM set_config('search_path', 'elsewhere', false); END $$",
        "SHOW search_path",
    ),
}
"""What PostgreSQL keeps in a session: how to leave it there, and how to see it."""

UNSET = {"a setting": "", "reading only": "off"}
"""How some show that they are not set any more."""


@pytest.fixture
def database(instance: Instance) -> Database:
    """Return a database of which all work is done on one connection."""
    return instance.database


def look(connection: Connection, what: str) -> str:
    """Return what is seen of something that may have been left."""
    found = connection.exec_driver_sql(LEFT[what][1]).scalar()
    return "" if found is None else str(found)


def complete(database: Database, *statements: str) -> None:
    """Do as a job that executes these and succeeds."""
    with database.session() as session:
        for statement in statements:
            session.connection().exec_driver_sql(statement)
        database.leave(session)
        session.execute(text("SELECT 1"))
        session.commit()
    database.job_ended()


def fail(database: Database, *statements: str) -> None:
    """Do as a job that executes these, commits on the way, and fails."""
    with database.session() as session:
        for statement in statements:
            session.connection().exec_driver_sql(statement)
        session.commit()
        session.execute(text("SELECT 1"))
        session.rollback()
    database.job_ended()


ENDINGS = {"completed": complete, "failed": fail}


@pytest.mark.feature("N-14")
@on_postgresql
@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_of_a_session_of_postgresql_reaches_the_next_job(database: Database, ending: str) -> None:
    with database.begin() as connection:
        before = {what: look(connection, what) for what in LEFT}
    ENDINGS[ending](database, *(statement for statement, _ in LEFT.values()))
    with database.session() as session:
        connection = session.connection()
        after = {what: look(connection, what) for what in LEFT}
        session.commit()
    assert after == {**before, **{what: text for what, text in UNSET.items() if after[what] == text}}


@on_postgresql
def test_the_next_transaction_of_the_same_job_finds_each_of_these(database: Database) -> None:
    for what, (leave, _) in LEFT.items():
        with database.session() as session:
            before = look(session.connection(), what)
            session.connection().exec_driver_sql(leave)
            session.commit()
            assert look(session.connection(), what) != before
        database.job_ended()


@on_postgresql
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_sequence_has_no_current_value_in_the_next_job(database: Database, ending: str) -> None:
    ENDINGS[ending](database, "CREATE SEQUENCE numbers", "SELECT nextval('numbers')")
    with pytest.raises(DBAPIError, match="lastval is not yet defined"), database.begin() as connection:
        connection.exec_driver_sql("SELECT lastval()")


@on_postgresql
def test_a_lock_of_the_session_is_held_until_what_it_guards_is_committed(database: Database) -> None:
    locked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    seen = []

    with closing(Database(database.url)) as others:

        def look() -> None:
            with others.begin() as connection:
                seen.append(connection.exec_driver_sql(locked).scalar())

        event.listen(database.engine, "commit", lambda _: look(), once=True)
        complete(database, "SELECT pg_advisory_lock(7)")
        with database.begin() as connection:
            connection.exec_driver_sql("SELECT 1")
        look()
    assert seen == [1, 0]


@on_postgresql
def test_deferred_triggers_run_under_the_settings_of_the_job(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE SCHEMA tenant; CREATE TABLE tenant.notes (note text); "
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO notes VALUES ('here'); RETURN NULL; END $$; "
            "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON ledger DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION note()"
        )
    complete(
        database, "SET search_path = tenant, public", "INSERT INTO ledger (job, attempt, note) VALUES (1, 1, '')"
    )
    with database.begin() as connection:
        assert connection.exec_driver_sql("SELECT note FROM tenant.notes").all() == [("here",)]


@on_postgresql
def test_what_the_application_writes_while_a_job_is_committed_is_written_under_the_settings_of_the_job(
    database: Database,
) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA tenant; CREATE TABLE tenant.notes (note text)")

    def write(session: Any) -> None:
        session.execute(text("INSERT INTO notes VALUES ('here')"))

    event.listen(database.session_class, "before_commit", write, once=True)
    complete(database, "SET search_path = tenant")
    with database.begin() as connection:
        assert connection.exec_driver_sql("SELECT note FROM tenant.notes").all() == [("here",)]
        assert connection.exec_driver_sql("SHOW search_path").scalar() != "tenant"


@on_postgresql
def test_what_the_application_sets_on_each_new_connection_is_kept(database: Database) -> None:
    def set_up(connection: Any, record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET search_path = public, pg_catalog; SET ROLE pg_monitor; SET app.tenant = 'our''s'")
        connection.commit()

    asked = "SELECT current_setting('search_path'), current_user::text, current_setting('app.tenant')"
    event.listen(Engine, "connect", set_up)
    try:
        with closing(Database(database.url)) as configured:
            for end in (complete, fail):
                end(configured, "SET search_path = pg_catalog", "RESET ROLE", "SET app.tenant = 'other'")
                with configured.begin() as connection:
                    found = connection.exec_driver_sql(asked).one()
                assert tuple(found) == ("public, pg_catalog", "pg_monitor", "our's")
    finally:
        event.remove(Engine, "connect", set_up)


@on_postgresql
def test_what_the_url_sets_is_kept(database: Database) -> None:
    url = f"{database.url}{'&' if '?' in database.url else '?'}options=-c%20TimeZone%3DAsia%2FTokyo"
    with closing(Database(url)) as configured:
        complete(configured, "SET TIME ZONE 'UTC'")
        with configured.begin() as connection:
            assert connection.exec_driver_sql("SHOW TimeZone").scalar() == "Asia/Tokyo"


def by_executing(driver: Any) -> None:
    """Use a cursor."""
    driver.cursor().execute("SELECT 1")


def by_bytes(driver: Any) -> None:
    """Use bytes with a parameter."""
    driver.cursor().execute(b"SELECT %s, '50%%'", (1,))


def by_composing(driver: Any) -> None:
    """Use a composed statement."""
    driver.cursor().execute(psycopg2.sql.SQL("SELECT {}").format(psycopg2.sql.Literal(1)))


def by_many(driver: Any) -> None:
    """Execute one statement several times."""
    driver.cursor().executemany("SELECT %s", [(1,), (2,)])


def by_copying(driver: Any) -> None:
    """Copy to a file."""
    driver.cursor().copy_expert("COPY (SELECT 1) TO STDOUT", io.StringIO())


def by_another_cursor(driver: Any) -> None:
    """Use a cursor of another class."""
    driver.cursor(cursor_factory=psycopg2.extras.RealDictCursor).execute("SELECT 1")


def by_a_named_cursor(driver: Any) -> None:
    """Use a cursor of the server's."""
    driver.cursor("named").execute("SELECT 1")


def by_calling(driver: Any) -> None:
    """Call a function."""
    driver.cursor().callproc("now")


def without_a_transaction(driver: Any) -> None:
    """Execute what refuses to run with others."""
    driver.rollback()
    driver.autocommit = True
    driver.cursor().execute("VACUUM ledger")


WAYS = [
    by_executing, by_bytes, by_composing, by_many, by_copying, by_another_cursor, by_a_named_cursor, by_calling,
    without_a_transaction,
]  # fmt: skip
"""How a job may use the connection of the driver, which no event of SQLAlchemy's tells."""


@on_postgresql
@pytest.mark.parametrize("use", WAYS)
def test_however_the_next_job_begins_it_finds_nothing(database: Database, use: Callable[[Any], None]) -> None:
    fail(database, "SET search_path = elsewhere", "SELECT pg_advisory_lock(5)")
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        use(driver)
        cursor = driver.cursor()
        cursor.execute("SHOW search_path")
        assert cursor.fetchone() != ("elsewhere",)
        cursor.execute(LEFT["a lock"][1])
        assert cursor.fetchone() == (0,)
    database.job_ended()
    with database.engine.connect() as connection:
        assert connection.connection.driver_connection.autocommit is False  # type: ignore[union-attr]


@on_postgresql
def test_a_rollback_and_a_wrong_statement_bring_nothing_back(database: Database) -> None:
    fail(database, "SET search_path = elsewhere")
    with pytest.raises(DBAPIError), database.begin() as connection:
        connection.exec_driver_sql("SELCT 1")
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW search_path").scalar() != "elsewhere"
        connection.rollback()
        assert connection.exec_driver_sql("SHOW search_path").scalar() != "elsewhere"


@on_postgresql
def test_a_statement_that_failed_leaves_nothing_either(database: Database) -> None:
    with pytest.raises(DBAPIError), database.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(5), 1 / (SELECT 0)")
    database.job_ended()
    with database.begin() as connection:
        assert look(connection, "a lock") == "0"


@on_postgresql
def test_what_a_job_changed_of_the_driver_is_put_back(database: Database) -> None:
    with database.engine.connect() as connection:
        driver = driver_of(connection)
        known = driver.isolation_level, driver.readonly, driver.encoding
        driver.set_client_encoding("LATIN1")
        driver.set_session(isolation_level="SERIALIZABLE", readonly=True)
        driver.cursor_factory = psycopg2.extras.RealDictCursor
    database.job_ended()
    with database.engine.connect() as connection:
        driver = driver_of(connection)
        assert (driver.isolation_level, driver.readonly, driver.encoding) == known
        assert connection.exec_driver_sql("SELECT 'ä', current_setting('transaction_isolation')").one() == (
            "ä", "read committed",
        )  # fmt: skip


@on_postgresql
def test_an_open_transaction_is_not_ended_by_the_boundary(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO ledger (job, attempt, note) VALUES (1, 1, '')")
        database.job_ended()
        connection.exec_driver_sql("SELECT 1")
        connection.rollback()
    with database.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM ledger").scalar() == 0


@on_postgresql
def test_the_isolation_of_the_next_transaction_is_as_it_was_asked_for(database: Database) -> None:
    fail(database, "SET search_path = elsewhere")
    for level in ("SERIALIZABLE", "REPEATABLE READ"):
        with database.engine.connect().execution_options(isolation_level=level) as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == level.lower()
        fail(database, "SET search_path = elsewhere")


def messages(proxy: FaultyProxy, database: Database, end: Callable[..., None], *statements: str) -> int:
    """Return how many messages a job and the next transaction take."""
    proxy.messages = 0
    end(database, *statements)
    with database.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    return proxy.messages


@pytest.mark.feature("LP-10")
@on_postgresql
@pytest.mark.parametrize(("ending", "expected"), [("completed", 4 + 3), ("failed", 3 + 3 + 3)])
def test_the_boundary_takes_no_round_trip(
    server: PrivatePostgreSQL, database: Database, ending: str, expected: int
) -> None:
    with FaultyProxy(server) as proxy:
        url = proxy.url(str(database.engine.url.database))
        with closing(Database(url)) as counted:
            messages(proxy, counted, complete)
            assert messages(proxy, counted, ENDINGS[ending], "SET search_path = elsewhere") == expected


LEFT_IN_SQLITE: dict[str, Callable[[Any], object]] = {
    "a pragma": lambda driver: driver.execute("PRAGMA foreign_keys = OFF"),
    "a comment before one": lambda driver: driver.execute("-- off\n /* really */ pragma foreign_keys = 0"),
    "a temporary table": lambda driver: driver.execute("CREATE TEMP TABLE kept (id)"),
    "one in the schema temp": lambda driver: driver.execute("CREATE TABLE IF NOT EXISTS temp.kept (id)"),
    "one behind a comment": lambda driver: driver.execute("CREATE /* ( */ TEMP TABLE kept (id)"),
    "one without a space": lambda driver: driver.execute("CREATE/**/TEMP TABLE kept (id)"),
    "one in a schema behind a comment": lambda driver: driver.execute("CREATE TABLE -- (\n temp.kept (id)"),
    "a temporary trigger": lambda driver: driver.execute(
        "CREATE TEMP TRIGGER kept AFTER INSERT ON ledger BEGIN SELECT 1; END"
    ),
    "another database": lambda driver: driver.execute("ATTACH ':memory:' AS other"),
    "a script": lambda driver: driver.executescript("PRAGMA foreign_keys = OFF"),
    "a function": lambda driver: driver.create_function("kept", 0, lambda: 1),
    "a collation": lambda driver: driver.create_collation("kept", lambda a, b: 0),
    "a row factory": lambda driver: setattr(driver, "row_factory", sqlite3.Row),
    "an isolation level": lambda driver: setattr(driver, "isolation_level", "DEFERRED"),
}


def driver_of(connection: Connection) -> Any:
    """Return the driver's connection."""
    return connection.connection.driver_connection


@on_sqlite
@pytest.mark.parametrize("what", LEFT_IN_SQLITE)
def test_a_job_does_not_get_a_connection_to_sqlite_on_which_another_left_something(
    database: Database, what: str
) -> None:
    with database.reading.connect() as connection:
        used = driver_of(connection)
        LEFT_IN_SQLITE[what](used)
    with database.reading.connect() as connection:
        assert driver_of(connection) is used  # the job itself keeps it
    database.job_ended()
    with database.reading.connect() as connection:
        fresh = driver_of(connection)
        assert fresh is not used
        assert fresh.execute("PRAGMA foreign_keys").fetchone() == (1,)


@on_postgresql
def test_no_search_path_moves_our_own_statements(database: Database, instance: Instance) -> None:
    job = instance.act()
    with database.session() as session:
        session.execute(text("CREATE SCHEMA trap; CREATE TABLE trap.jobcron_job (LIKE public.jobcron_job)"))
        session.execute(text("SET search_path = trap"))
        fenced = {"id": job, "token": 1}
        assert execute(session.connection(), "fence", fenced).first() is None
        assert session.get_one(Job, job).status is JobStatus.WAITING
        session.get_one(Job, job).priority = 3
        session.commit()
        assert session.scalars(text("SELECT count(*) FROM jobcron_job")).one() == 0
    database.job_ended()
    assert instance.row(job).priority == 3


@on_postgresql
def test_the_schema_of_our_tables_is_found_when_they_are_made_after_the_first_connection(
    database: Database,
) -> None:
    with closing(Database(database.url)) as early:
        with database.begin() as connection:
            connection.exec_driver_sql('CREATE SCHEMA "The tenant"')
        url = f"{database.url}{'&' if '?' in database.url else '?'}options=-csearch_path%3D%22The%5C%20tenant%22"
        with closing(Database(url)) as tenant:
            with tenant.begin() as connection:
                upgrade_schema(connection, url)
            tenant.close()
            with tenant.begin() as connection:
                connection.exec_driver_sql("SET LOCAL search_path = public")
                assert connection.scalar(select(func.count()).select_from(Job)) == 0
                assert execute(connection, "fence", {"id": 1, "token": 1}).first() is None
                statement = str(select(Job.id).compile(tenant.engine))
        assert '"The tenant".jobcron_job' in statement
        with early.begin() as connection:
            assert "public.jobcron_job" in str(select(Job.id).compile(early.engine))


def test_statements_of_the_application_are_as_they_were_written(database: Database) -> None:
    with database.begin():
        pass
    assert "FROM foo" in str(select(Foo.id).compile(database.engine))


@on_sqlite
def test_other_jobs_share_their_connection(database: Database) -> None:
    with database.begin() as connection:
        used = driver_of(connection)
        connection.exec_driver_sql("CREATE TABLE temporary_notes (note)")
        connection.exec_driver_sql("CREATE TABLE more_notes (note /* no TEMP TABLE */)")
        connection.exec_driver_sql("INSERT INTO temporary_notes VALUES ('PRAGMA')")
    database.job_ended()
    with database.begin() as connection:
        assert driver_of(connection) is used
