"""Renewals in a table of their own; what has begun; values that no code writes are refused.

Revision ID: 0003
Revises: 0002
"""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

OLDEST_CODE = "0003"
"""Older code does not read renewals, and would take over jobs that newer code runs."""

OF_UUIDS = "CREATE UNIQUE INDEX {how} jobcron_job_uuid ON jobcron_job (uuid)"

# On PostgreSQL each version of a row has an entry in an index of all jobs: a fifth more WAL for each job that
# runs, or more. So there it has only the jobs that have not started, as the index of the unique keys.
LATE_INDEXES = {"jobcron_job_uuid": {"postgresql": f"{OF_UUIDS} WHERE status IN (0, 4, 7)", "sqlite": OF_UUIDS}}
"""Built after all migrations, on PostgreSQL while jobs are created: see `jobcron.database.upgrade`."""

BIG_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

GREATEST_TOKEN = 2**62
"""A token always has room to grow."""

LEGAL_MOVE = """
    NEW.lease_token >= OLD.lease_token
    AND (NEW.status <> 1 OR OLD.status = 1 OR NEW.lease_token > OLD.lease_token)
    AND (OLD.status = NEW.status
         OR OLD.status = 0 AND NEW.status IN (1, 2, 4, 5, 6)
         OR OLD.status = 1 AND NEW.status IN (0, 2, 3, 4, 5)
         OR OLD.status = 2 AND NEW.status = 0
         OR OLD.status IN (3, 5, 6) AND NEW.status IN (0, 2)
         OR OLD.status = 4 AND NEW.status IN (0, 2, 5)
         OR OLD.status = 7 AND NEW.status IN (0, 5, 6))
"""

NO_TOKEN = {
    "postgresql": f"OLD.lease_token >= {GREATEST_TOKEN}",
    "sqlite": f"typeof(OLD.lease_token) <> 'integer' OR OLD.lease_token >= {GREATEST_TOKEN}",
}

GREATEST_LEASE = 8
"""Days. Code gives seven at most."""

NUMBERS = {
    "lease_token": GREATEST_TOKEN,
    "begun_token": GREATEST_TOKEN,
    "attempt_count": 2**31 - 1,
    "crash_count": 2**31 - 1,
    "max_retries": 2**31 - 1,
    "priority": 2**31 - 1,
}

TIMES = ("scheduled_start", "expires_at", "date_created", "lease_expires")

GUARDED = (*NUMBERS, *TIMES)


def upgrade() -> None:
    """Make the table, the column, the index and the triggers; the leases of running jobs stay on their rows."""
    dialect = op.get_bind().dialect.name
    make_uuids_unique()  # first: it reads all jobs, and locks no table
    make_renewals()
    note_what_has_begun()
    guard_moves(dialect)
    guard_values(dialect)


def make_renewals() -> None:
    """Make the table of renewals.

    It has no foreign key: the check of one would wait for a job that holds its own row FOR UPDATE, and would
    write to the job table, which is the table to be spared. Pruning removes what a dead process left.
    """
    op.create_table(
        "jobcron_renewal",
        sa.Column("job", BIG_INTEGER, primary_key=True, autoincrement=False),
        sa.Column("lease_token", sa.BigInteger, nullable=False),
        sa.Column("lease_expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("progress", sa.Integer),
    )


def note_what_has_begun() -> None:
    """Add the token of the last attempt that is known to have begun; 0: none."""
    op.add_column("jobcron_job", sa.Column("begun_token", sa.BigInteger, nullable=False, server_default="0"))
    has_begun = "status IN (0, 1, 4, 7) AND attempt_count > 0"
    op.execute(f"UPDATE jobcron_job SET begun_token = lease_token WHERE {has_begun}")


def make_uuids_unique() -> None:
    """Of jobs that share a UUID, which only copies made by hand do, let the first one keep it."""
    connection = op.get_bind()
    job = sa.table("jobcron_job", sa.column("id"), sa.column("uuid", sa.Uuid))
    twice = sa.select(job.c.uuid).group_by(job.c.uuid).having(sa.func.count() > 1)
    for shared in list(connection.scalars(twice)):
        numbers = list(connection.scalars(sa.select(job.c.id).where(job.c.uuid == shared).order_by(job.c.id)))
        for number in numbers[1:]:
            connection.execute(sa.update(job).where(job.c.id == number).values(uuid=uuid.uuid4()))


def guard_moves(dialect: str) -> None:
    """Replace the trigger that refuses illegal moves."""
    # A token that cannot grow may be replaced, by any: such a row is claimed only to fail.
    replacing = LEGAL_MOVE.replace("OLD.lease_token", "-1")
    rule = f"({LEGAL_MOVE}) OR ({NO_TOKEN[dialect]}) AND ({replacing})"
    if dialect == "sqlite":
        op.execute("DROP TRIGGER jobcron_job_move")
        op.execute(f"""
            CREATE TRIGGER jobcron_job_move BEFORE UPDATE OF status, lease_token ON jobcron_job
            FOR EACH ROW WHEN NOT ({rule})
            BEGIN
                SELECT RAISE(ABORT, 'jobcron: this move of status or lease_token is invalid');
            END
        """)
        return
    op.execute("DROP TRIGGER jobcron_job_move ON jobcron_job")
    op.execute(f"""
        CREATE TRIGGER jobcron_job_move BEFORE UPDATE OF status, lease_token ON jobcron_job
        FOR EACH ROW WHEN (NOT ({rule})) EXECUTE FUNCTION jobcron_refuse_move()
    """)


def guard_values(dialect: str) -> None:
    """Refuse values that no claim could work with, whoever writes.

    Triggers, not CHECKs: SQLite adds none to a table. And a row that has such a value already must still be able
    to end, so only values that change are looked at.
    """
    unchanged = "NEW.{0} IS NOT DISTINCT FROM OLD.{0} OR "
    for name, event, same in (("insert", "INSERT", ""), ("update", "UPDATE", unchanged)):
        rule = " AND ".join(f"({same.format(column)}{test})" for column, test in tests_of(dialect).items())
        if dialect == "sqlite":
            rule = rule.replace("IS NOT DISTINCT FROM", "IS")
        guard(dialect, f"jobcron_job_values_{name}", f"{event} OF {', '.join(GUARDED)}" if same else event, rule)
    if dialect == "sqlite":
        refuse_replacement()


def tests_of(dialect: str) -> dict[str, str]:
    """Return the condition on each guarded column; NULL passes, where the column may have it.

    SQLite has to refuse what the types of PostgreSQL refuse as well.
    """
    if dialect == "sqlite":
        numbers = "NEW.{0} IS NULL OR typeof(NEW.{0}) = 'integer' AND NEW.{0} <= {1}"
        times = "NEW.{0} IS NULL OR typeof(NEW.{0}) = 'text' AND julianday(NEW.{0}) IS NOT NULL"
        lease = f"{times} AND julianday(NEW.{{0}}) <= julianday('now') + {GREATEST_LEASE}"
    else:
        numbers = "NEW.{0} IS NULL OR NEW.{0} <= {1}"
        times = "NEW.{0} IS NULL OR NEW.{0} BETWEEN '0002-01-01 00:00:00+00' AND '9998-01-01 00:00:00+00'"
        lease = f"NEW.{{0}} IS NULL OR NEW.{{0}} <= statement_timestamp() + interval '{GREATEST_LEASE} days'"
    found = {name: numbers.format(name, greatest) for name, greatest in NUMBERS.items()}
    found |= {name: times.format(name) for name in TIMES}
    return found | {"lease_expires": lease.format("lease_expires")}


def guard(dialect: str, name: str, event: str, rule: str) -> None:
    """Make a trigger that refuses what breaks a rule; the rule is in the WHEN clause."""
    if dialect == "sqlite":
        op.execute(f"""
            CREATE TRIGGER {name} BEFORE {event} ON jobcron_job
            FOR EACH ROW WHEN NOT ({rule})
            BEGIN
                SELECT RAISE(ABORT, 'jobcron: a number or a time is none, or is out of range');
            END
        """)
        return
    op.execute("""
        CREATE OR REPLACE FUNCTION jobcron_refuse_values() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'jobcron: job %: a number or a time is out of range', NEW.id
                USING ERRCODE = 'check_violation';
        END
        $$
    """)
    op.execute(f"""
        CREATE TRIGGER {name} BEFORE {event} ON jobcron_job
        FOR EACH ROW WHEN (NOT ({rule})) EXECUTE FUNCTION jobcron_refuse_values()
    """)


def refuse_replacement() -> None:
    """Refuse an INSERT OR REPLACE of a job that is there, which only SQLite has."""
    op.execute("""
        CREATE TRIGGER jobcron_job_replaced BEFORE INSERT ON jobcron_job
        FOR EACH ROW WHEN EXISTS (SELECT 1 FROM jobcron_job WHERE id = NEW.id)
                       OR EXISTS (SELECT 1 FROM jobcron_job WHERE uuid = NEW.uuid)
        BEGIN
            SELECT RAISE(ABORT, 'jobcron: a job with this number or UUID is there already');
        END
    """)
