"""The tables of jobcron: types, jobs, events, runs.

Written without the package's own classes: a migration says what was true on its day.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_TYPE = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

NOW = {
    "postgresql": sa.text("statement_timestamp()"),
    "sqlite": sa.text("(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"),
}

# WAITING 0, RUNNING 1, COMPLETED 2, FAILED 3, SUSPENDED 4, CANCELLED 5, EXPIRED 6, BLOCKED 7.
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


def upgrade() -> None:
    """Make the tables, their indexes, and the trigger that refuses illegal moves."""
    dialect = op.get_bind().dialect.name
    make_types()
    make_jobs(dialect)
    make_history(dialect)
    guard_moves(dialect)


def make_types() -> None:
    """Make the tables of job types and of the names of their sources."""
    op.create_table(
        "jobcron_type",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "jobcron_source",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("type", sa.Integer, sa.ForeignKey("jobcron_type.id"), primary_key=True),
        sa.Column("own_iter_ready", sa.Boolean, nullable=False),
    )


def make_jobs(dialect: str) -> None:
    """Make the table of jobs and its indexes."""
    op.create_table(
        "jobcron_job",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("uuid", sa.Uuid, nullable=False),
        sa.Column("type", sa.Integer, sa.ForeignKey("jobcron_type.id"), nullable=False),
        sa.Column("queue", sa.Text, nullable=False, server_default="default"),
        sa.Column("status", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("priority", sa.Integer, nullable=False, server_default="10"),
        sa.Column("scheduled_start", MOMENT, nullable=False, server_default=NOW[dialect]),
        sa.Column("expires_at", MOMENT),
        sa.Column("date_created", MOMENT, nullable=False, server_default=NOW[dialect]),
        sa.Column("date_started", MOMENT),
        sa.Column("date_finished", MOMENT),
        sa.Column("lease_expires", MOMENT),
        sa.Column("lease_token", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("claimed_by", sa.Text),
        sa.Column("attempt_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("crash_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("max_retries", sa.Integer, server_default="0"),
        sa.Column("requester", sa.Text),
        sa.Column("unique_key", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("progress", sa.Integer),
        sa.Column("result", sa.Text),
        sa.Column("log", sa.Text),
        sa.Column("oops_id", sa.Text),
        sa.Column("json_data", JSON_TYPE, nullable=False, server_default="{}"),
        sa.CheckConstraint("status BETWEEN 0 AND 7", "jobcron_job_status"),
        sa.CheckConstraint("(status IN (2, 3, 5, 6)) = (date_finished IS NOT NULL)", "jobcron_job_finished"),
        sa.CheckConstraint("status <> 1 OR lease_expires IS NOT NULL", "jobcron_job_leased"),
        sa.CheckConstraint(
            "lease_token >= 0 AND attempt_count >= 0 AND crash_count >= 0 AND max_retries >= 0",
            "jobcron_job_counts",
        ),
        sqlite_autoincrement=True,  # an id is in OOPS names: it is never given twice
    )
    for name, columns, predicate, unique in (
        ("ready", ["type", "priority", "scheduled_start", "id"], "status = 0", False),
        ("leased", ["type", "lease_expires"], "status = 1", False),
        ("expiring", ["type", "expires_at"], "status = 0 AND expires_at IS NOT NULL", False),
        # The predicate stands in `acquire`'s ON CONFLICT, word for word.
        ("unique", ["type", "unique_key"], "status IN (0, 4, 7)", True),
    ):
        op.create_index(
            f"jobcron_job_{name}",
            "jobcron_job",
            columns,
            unique=unique,
            postgresql_where=sa.text(predicate),
            sqlite_where=sa.text(predicate),
        )


def make_history(dialect: str) -> None:
    """Make the tables of events and of runs."""
    op.create_table(
        "jobcron_event",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column(
            "job",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("jobcron_job.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("at", MOMENT, nullable=False, server_default=NOW[dialect]),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
        sa.Column("oops_id", sa.Text),
        sa.Column("lease_token", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "jobcron_run",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("date_started", MOMENT, nullable=False),
        sa.Column("date_completed", MOMENT, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("incomplete", sa.Integer, nullable=False),
        sa.Column("oopses", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("jobcron_run_last", "jobcron_run", ["name", "date_started"])


def guard_moves(dialect: str) -> None:
    """Make the trigger that refuses illegal moves, whoever writes.

    The rule is in the WHEN clause, so that a legal move calls nothing.
    """
    if dialect == "sqlite":
        op.execute(f"""
            CREATE TRIGGER jobcron_job_move BEFORE UPDATE OF status, lease_token ON jobcron_job
            FOR EACH ROW WHEN NOT ({LEGAL_MOVE})
            BEGIN
                SELECT RAISE(ABORT, 'jobcron: this move of status or lease_token is invalid');
            END
        """)
        return
    op.execute("""
        CREATE FUNCTION jobcron_refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'jobcron: job %: the move from status % (token %) to % (token %) is invalid',
                OLD.id, OLD.status, OLD.lease_token, NEW.status, NEW.lease_token
                USING ERRCODE = 'check_violation';
        END
        $$
    """)
    op.execute(f"""
        CREATE TRIGGER jobcron_job_move BEFORE UPDATE OF status, lease_token ON jobcron_job
        FOR EACH ROW WHEN (NOT ({LEGAL_MOVE})) EXECUTE FUNCTION jobcron_refuse_move()
    """)
