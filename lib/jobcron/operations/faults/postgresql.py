"""Trouble that is particular to PostgreSQL: what holds back VACUUM, dangerous settings."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from jobcron.database.connecting.notifications import notifies
from jobcron.operations.reasons import Finding, moment
from jobcron.queue.health import Health

LONG_SECONDS = 600.0
"""How long a transaction may last before it counts as one that holds back VACUUM, in seconds."""

DEAD_ROWS = 10_000
DEAD_PART = 0.2
"""How many rows of a table may be dead: so many, and so large a part of it."""

USED_PART = 0.9
"""How much of its numbers a counter may have used."""

BEHIND = 1_000_000
"""How many transactions a standby or a reader of the write-ahead log may hold back VACUUM by."""

OLD_TRANSACTIONS = 1_000_000_000
"""How far the oldest transaction number may lie back: at two thousand million the server stops writing."""

DURABLE = ("fsync", "full_page_writes")

ENDING = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "idle_session_timeout",
)
"""Limits of the role or the database that would end a job."""


def postgresql_findings(connection: Connection) -> Iterator[Finding]:
    """Yield what is wrong with the database, over a connection that is only read."""
    yield from _settings(connection)
    yield from _old_transactions(connection)
    yield from _followers(connection)
    yield from _autovacuum(connection)
    yield from _dead_rows(connection)
    yield from _hidden(connection)
    yield from _slots(connection)
    yield from _counters(connection)


def _settings(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(text("SELECT name, setting, unit FROM pg_settings")).all()
    settings = {str(name): str(setting) for name, setting, _ in rows}
    for name in DURABLE:
        if settings.get(name) == "off":
            told = f"{name} is off: after a crash of the machine the database may be damaged"
            yield Finding("durability", Health.CRITICAL, told, f"{name} = on")
    if settings.get("synchronous_commit") == "off":
        told = (
            "synchronous_commit is off: a crash of the server loses the newest jobs, and runs completed ones again"
        )
        yield Finding("durability", Health.WARNING, told, "synchronous_commit = on")
    if settings.get("server_encoding") != "UTF8":
        told = f"the encoding of the database is {settings.get('server_encoding')}: it cannot hold every text"
        yield Finding("encoding", Health.WARNING, told, "a database with the encoding UTF8")
    for name in ENDING:
        if settings.get(name, "0") not in ("0", "-1"):
            told = f"{name} is {settings[name]} ms for this role or database: it ends jobs that take longer"
            yield Finding("timeouts", Health.WARNING, told, f"ALTER ROLE … SET {name} = 0 for the roles of jobs")
    if settings.get("default_transaction_read_only") == "on":
        told = "transactions are read-only by default: no job can be claimed"
        yield Finding("read-only", Health.CRITICAL, told, "default_transaction_read_only = off")
    isolation = settings.get("default_transaction_isolation")
    if isolation != "read committed":
        told = f"the default isolation is {isolation}: claims of several runners fail against each other"
        yield Finding("isolation", Health.WARNING, told, "default_transaction_isolation = 'read committed'")


def _old_transactions(connection: Connection) -> Iterator[Finding]:
    found = connection.execute(
        text(
            "SELECT pid, usename, application_name, state, xact_start, left(query, 100) FROM pg_stat_activity "
            "WHERE xact_start < clock_timestamp() - make_interval(secs => :seconds) AND pid <> pg_backend_pid() "
            "AND datname = current_database() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL "
            "OR state LIKE 'idle in transaction%') ORDER BY xact_start"
        ),
        {"seconds": LONG_SECONDS},
    ).all()
    for pid, user, application, state, since, query in found:
        told = (
            f"process {pid} of the server (role {user}, {application or 'no application name'}) is in a "
            f"transaction since {moment(since)}, {state}: VACUUM removes nothing newer; last statement: {query}"
        )
        yield Finding("old transactions", Health.WARNING, told, f"end it, or SELECT pg_terminate_backend({pid})")


def _followers(connection: Connection) -> Iterator[Finding]:
    """Find standbys that hold back VACUUM for their queries (``hot_standby_feedback``), with or without a slot.

    A role without the rights of ``pg_monitor`` sees only slots.
    """
    found = connection.execute(
        text(
            "SELECT 'the standby ' || application_name, age(backend_xmin) FROM pg_stat_replication "
            "WHERE age(backend_xmin) >= :behind UNION ALL "
            "SELECT 'the reader of the replication slot ' || slot_name, age(xmin) FROM pg_replication_slots "
            "WHERE active AND age(xmin) >= :behind ORDER BY 1"
        ),
        {"behind": BEHIND},
    ).all()
    for who, behind in found:
        told = f"{who} still sees rows of {behind:,} transactions ago: VACUUM removes nothing newer"
        remedy = "end its oldest query, or hot_standby_feedback = off there"
        yield Finding("old transactions", Health.WARNING, told, remedy)


def notify_findings(connection: Connection) -> Iterator[Finding]:
    """Yield why the workers of an instance whose ``notify`` is true may hear of nothing.

    Args:
        connection: a connection to PostgreSQL that is only read.
    """
    if not notifies(connection):
        told = "notify is true, and the database notifies nobody: jobs wait for a worker's next look"
        yield Finding("notifications", Health.WARNING, told, "jobcron upgrade")
    driver = connection.connection.driver_connection
    assert driver is not None
    # A pooler gives its clients a number of its own for the process.
    if connection.scalar(text("SELECT pg_backend_pid()")) != driver.info.backend_pid:
        told = (
            "notify is true, and a pooler stands before the database: unless each client has a session of its "
            "own, no notification arrives, and jobs wait for a worker's next look"
        )
        yield Finding("pooler", Health.WARNING, told, "pool_mode = session for the worker, or notify: false")


def _autovacuum(connection: Connection) -> Iterator[Finding]:
    """Find out whether autovacuum is switched off, for the server or for tables."""
    settings = text(
        "SELECT name FROM pg_settings WHERE name IN ('autovacuum', 'track_counts') AND setting = 'off'"
    )
    for (name,) in connection.execute(settings).all():
        told = f"{name} is off: nothing removes dead rows, and each claim reads more of them"
        yield Finding("autovacuum", Health.WARNING, told, f"{name} = on")
    tables = text(
        "SELECT relname FROM pg_class, unnest(reloptions) AS option WHERE relname LIKE 'jobcron\\_%' "
        "AND relkind = 'r' AND pg_table_is_visible(pg_class.oid) "
        "AND lower(option) ~ '^autovacuum_enabled=(off|false|no|0)$' ORDER BY relname"
    )
    for (name,) in connection.execute(tables).all():
        told = f"autovacuum is switched off for {name}: nothing removes its dead rows"
        yield Finding("autovacuum", Health.WARNING, told, f"ALTER TABLE {name} RESET (autovacuum_enabled)")


def _dead_rows(connection: Connection) -> Iterator[Finding]:
    found = connection.execute(
        text(
            "SELECT relname, n_live_tup, n_dead_tup, last_autovacuum FROM pg_stat_user_tables "
            "WHERE relname LIKE 'jobcron_%' AND n_dead_tup >= :rows AND n_dead_tup >= :part * n_live_tup"
        ),
        {"rows": DEAD_ROWS, "part": DEAD_PART},
    ).all()
    for name, live, dead, vacuumed in found:
        last = "never" if vacuumed is None else f"at {moment(vacuumed)}"
        told = f"{name} has {dead:,} dead rows beside {live:,} live ones; autovacuum was there {last}"
        yield Finding("dead rows", Health.WARNING, told, f"VACUUM {name}; see docs/how-to/postgresql.md")


def _hidden(connection: Connection) -> Iterator[Finding]:
    """Find tables of the search path that others stand before: another role, or setting, would use those."""
    found = connection.execute(
        text(
            "SELECT relname, array_agg(nspname ORDER BY array_position(current_schemas(false), nspname)) "
            "FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE relname IN ('jobcron_job', 'jobcron_schema_version') "
            "AND nspname = ANY (current_schemas(false)) GROUP BY relname HAVING count(*) > 1 ORDER BY relname"
        )
    ).all()
    for name, (first, *others) in found:
        told = f"{name} is found in the schema {first}, which hides that of {', '.join(others)} in the search path"
        yield Finding("search path", Health.WARNING, told, "ALTER DATABASE … SET search_path with one of them")


def _slots(connection: Connection) -> Iterator[Finding]:
    """Find what holds back VACUUM or the write-ahead log, and belongs to no session."""
    slots = text(
        "SELECT slot_name, xmin IS NOT NULL FROM pg_replication_slots WHERE NOT active ORDER BY slot_name"
    )
    for name, holds_rows in connection.execute(slots).all():
        what = "VACUUM and the write-ahead log" if holds_rows else "the write-ahead log"
        told = f"nobody reads the replication slot {name}, and it holds back {what}: the disk gets full"
        yield Finding("replication slots", Health.WARNING, told, f"SELECT pg_drop_replication_slot('{name}')")
    prepared = text(
        "SELECT gid, prepared FROM pg_prepared_xacts WHERE database = current_database() "
        "AND prepared < clock_timestamp() - make_interval(secs => :seconds) ORDER BY prepared"
    )
    for name, since in connection.execute(prepared, {"seconds": LONG_SECONDS}).all():
        told = f"the transaction {name} is prepared since {moment(since)}: it keeps its locks, and VACUUM waits"
        yield Finding(
            "prepared transactions", Health.WARNING, told, f"COMMIT PREPARED or ROLLBACK PREPARED '{name}'"
        )


def _counters(connection: Connection) -> Iterator[Finding]:
    sequences = text(
        "SELECT sequencename, last_value, max_value FROM pg_sequences WHERE sequencename LIKE 'jobcron_%' "
        "AND last_value > :part * max_value ORDER BY sequencename"
    )
    for name, last, most in connection.execute(sequences, {"part": USED_PART}).all():
        told = f"the counter {name} is at {last:,}, and its last number is {most:,}: no row can be made after it"
        yield Finding("counters", Health.CRITICAL, told, "a larger type of the column and its sequence")
    age = connection.scalar(text("SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()"))
    if age is not None and age > OLD_TRANSACTIONS:
        told = f"the oldest transaction number lies {age:,} back: at two thousand million the server stops writing"
        yield Finding("counters", Health.CRITICAL, told, "end what holds back VACUUM, then VACUUM FREEZE")
