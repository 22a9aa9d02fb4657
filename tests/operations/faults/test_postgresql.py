"""Each planted fault of a PostgreSQL database is found."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

import fooapp
from examining import found, only
from instances import Instance, wait_until
from jobcron import Database, load_settings
from jobcron.database.upgrade import upgrade_schema
from jobcron.operations.doctor import examine
from jobcron.queue.health import Health
from jobcron.testing.server import PrivatePostgreSQL
from pooler import Pooler
from standby import Standby, execute

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\n"

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@on_postgresql
@pytest.mark.parametrize(
    ("setting", "check", "health"),
    [
        ("synchronous_commit = off", "durability", Health.WARNING),
        ("statement_timeout = '5s'", "timeouts", Health.WARNING),
        ("lock_timeout = '5s'", "timeouts", Health.WARNING),
        ("idle_in_transaction_session_timeout = '60s'", "timeouts", Health.WARNING),
        ("idle_session_timeout = '60s'", "timeouts", Health.WARNING),
        ("default_transaction_read_only = on", "read-only", Health.CRITICAL),
        ("default_transaction_isolation = 'serializable'", "isolation", Health.WARNING),
    ],
)
def test_settings_that_end_or_endanger_jobs_are_found(
    well: Instance, setting: str, check: str, health: Health
) -> None:
    name = well.database.engine.url.database
    well.database.close()
    with well.database.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET {setting}"))
    findings = [finding for finding in found(well) if finding.check != "durability" or check == "durability"]
    assert [(finding.check, finding.health) for finding in findings] == [(check, health)]
    assert setting.split()[0] in findings[0].text + findings[0].remedy


@on_postgresql
@pytest.mark.parametrize(
    ("setting", "check", "health"),
    [
        ("fsync", "durability", Health.CRITICAL),
        ("full_page_writes", "durability", Health.CRITICAL),
        ("autovacuum", "autovacuum", Health.WARNING),
        ("track_counts", "autovacuum", Health.WARNING),
    ],
)
def test_settings_of_the_server_that_endanger_jobs_are_found(
    well: Instance, setting: str, check: str, health: Health
) -> None:
    # No test may change the server for the others: a view of the same name stands before the catalog's.
    name = well.database.engine.url.database
    well.query("CREATE SCHEMA shadow")
    well.query(
        f"CREATE VIEW shadow.pg_settings AS SELECT name, CASE name WHEN '{setting}' THEN 'off' "
        "WHEN 'fsync' THEN 'on' WHEN 'full_page_writes' THEN 'on' ELSE setting END AS setting, unit "
        "FROM pg_catalog.pg_settings"
    )
    well.query(f"ALTER DATABASE {name} SET search_path = shadow, public, pg_catalog")
    well.database.close()
    finding = only(well)
    assert (finding.check, finding.health, finding.remedy) == (check, health, f"{setting} = on")


@on_postgresql
def test_a_table_without_autovacuum_is_found(well: Instance) -> None:
    well.query("ALTER TABLE jobcron_job SET (autovacuum_enabled = off)")
    assert only(well).text == "autovacuum is switched off for jobcron_job: nothing removes its dead rows"
    well.query(only(well).remedy)
    assert found(well) == []


def test_an_encoding_that_cannot_hold_every_text_is_found(narrow: Instance) -> None:
    ((encoding,),) = narrow.query("SHOW server_encoding")
    told = [finding.text for finding in found(narrow) if finding.check == "encoding"]
    assert told == [f"the encoding of the database is {encoding}: it cannot hold every text"]


@on_postgresql
def test_old_transactions_and_dead_rows_are_found(well: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobcron.operations.faults.postgresql.LONG_SECONDS", 0.0)
    with well.database.engine.connect() as other:
        other.execute(text("SET application_name = 'the culprit'"))
        other.commit()
        other.execute(text("SELECT count(*) FROM jobcron_job"))
        finding = only(well)
        assert finding.check == "old transactions"
        assert "the culprit" in finding.text
        assert "idle in transaction" in finding.text
        other.rollback()
    assert found(well) == []


@on_postgresql
def test_dead_rows_are_found(well: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobcron.operations.faults.postgresql.DEAD_ROWS", 1)
    well.multiply(well.act(), 50, priority="3")
    well.query("DELETE FROM jobcron_job")
    with well.database.begin() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    assert "dead rows" in {finding.check for finding in found(well)}


@on_postgresql
def test_a_table_that_hides_another_one_in_the_search_path_is_found(well: Instance) -> None:
    name = well.database.engine.url.database
    well.query("CREATE SCHEMA elsewhere")
    well.query("CREATE TABLE elsewhere.jobcron_job (id integer)")
    assert found(well) == []  # of another instance, or a backup
    well.query(f"ALTER DATABASE {name} SET search_path = public, elsewhere")
    well.database.close()
    assert (only(well).check, only(well).health) == ("search path", Health.WARNING)
    told = "jobcron_job is found in the schema public, which hides that of elsewhere in the search path"
    assert only(well).text == told


@on_postgresql
def test_a_replication_slot_that_nobody_reads_is_found(well: Instance) -> None:
    well.query("SELECT pg_create_physical_replication_slot('left_over', true)")
    try:
        assert only(well).check == "replication slots"
        assert "the replication slot left_over" in only(well).text
    finally:
        well.query("SELECT pg_drop_replication_slot('left_over')")


@on_postgresql
def test_a_prepared_transaction_is_found(well: Instance) -> None:
    # The server of the tests prepares none: a view of the same name stands before the catalog's.
    name = well.database.engine.url.database
    well.query("CREATE SCHEMA shadow")
    well.query(
        "CREATE VIEW shadow.pg_prepared_xacts AS SELECT CAST('left_over' AS text) AS gid, "
        "now() - interval '1 day' AS prepared, current_database() AS database"
    )
    well.query(f"ALTER DATABASE {name} SET search_path = shadow, public, pg_catalog")
    well.database.close()
    assert (only(well).check, only(well).health) == ("prepared transactions", Health.WARNING)
    assert "the transaction left_over is prepared since " in only(well).text


@on_postgresql
def test_a_counter_near_its_end_is_found(well: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    ((name, most),) = well.query(
        "SELECT sequencename, max_value FROM pg_sequences WHERE sequencename LIKE 'jobcron_job%'"
    )
    well.query("SELECT setval(CAST(:name AS regclass), :value)", name=name, value=most - 7)
    assert (only(well).check, only(well).health) == ("counters", Health.CRITICAL)
    assert f"the counter {name} is at " in only(well).text
    well.query("SELECT setval(CAST(:name AS regclass), 1)", name=name)
    monkeypatch.setattr("jobcron.operations.faults.postgresql.OLD_TRANSACTIONS", 0)
    assert "the oldest transaction number lies " in only(well).text


def without_durability(instance: Instance) -> list[str]:
    """Return what is found, but for the settings with which the tests' own servers are quick."""
    return [finding.text for finding in found(instance) if finding.check != "durability"]


def test_a_standby_that_holds_back_vacuum_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobcron.operations.faults.postgresql.BEHIND", 20)
    with PrivatePostgreSQL(in_memory=True) as primary, Standby(primary) as standby:
        with closing(Database(primary.url("postgres"))) as database, database.begin() as connection:
            upgrade_schema(connection, "postgres")
            fooapp.Base.metadata.create_all(connection)
        instance = Instance(tmp_path / "instance", primary.url("postgres"))
        instance.configure(sections="[act]\nsource_interface: fooapp.IActJobSource\n")
        instance.run("act")
        execute(
            standby,
            "ALTER SYSTEM SET hot_standby_feedback = on",
            "ALTER SYSTEM SET wal_receiver_status_interval = '1s'",
            "SELECT pg_reload_conf()",
        )
        with closing(Database(standby.url("postgres"))) as reading, reading.engine.connect() as reader:
            reader.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            reader.execute(text("SELECT count(*) FROM jobcron_job"))
            for _ in range(30):
                instance.query("SELECT pg_current_xact_id()")
            told = "still sees rows of [0-9]+ transactions ago: VACUUM removes nothing newer"
            wait_until(
                lambda: any(re.search(told, found) for found in without_durability(instance)), "the standby"
            )
            reader.rollback()
        wait_until(lambda: without_durability(instance) == [], "a standby that sees the newest rows")
        instance.database.close()


@on_postgresql
def test_a_pooler_through_which_no_notification_comes_is_found(well: Instance, server: PrivatePostgreSQL) -> None:
    well.configure("notify: true", sections=SECTIONS)
    assert only(well).text.startswith("notify is true, and the database notifies nobody")
    assert only(well).remedy == "jobcron upgrade"
    well.command("upgrade")
    assert found(well) == []
    pooler = Pooler(server)
    try:
        name = str(well.database.engine.url.database)
        pooler.wait(name)
        with closing(Database(pooler.url(name))) as pooled:
            for is_notified, checks in ((True, ["pooler"]), (False, [])):
                well.configure(f"notify: {str(is_notified).lower()}", sections=SECTIONS)
                with pooled.begin(writing=False) as connection:
                    findings = examine(connection, load_settings(str(well.path)))
                assert [finding.check for finding in findings] == checks
    finally:
        pooler.close()
