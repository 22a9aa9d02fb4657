"""Schedules, which create jobs, and their slots.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

OLDEST_CODE = "0005"
"""Code that was written for this version of the tables still works with them: it does not look at the new ones."""

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)

NOW = {
    "postgresql": sa.text("statement_timestamp()"),
    "sqlite": sa.text("(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"),
}


def upgrade() -> None:
    """Make the two tables; on PostgreSQL whoever may read types may read schedules, as each run and tick does."""
    now = NOW[op.get_bind().dialect.name]
    op.create_table(
        "jobcron_schedule",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("type_name", sa.Text),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("cron", sa.Text),
        sa.Column("every", sa.Integer),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("missed", sa.Text, nullable=False),
        sa.Column("missed_grace", sa.Double),
        sa.Column("missed_bound", sa.Integer, nullable=False),
        sa.Column("overlap", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("renamed_from", sa.Text),
        sa.Column("retired_at", MOMENT),
        sa.Column("paused_at", MOMENT),
        sa.Column("paused_by", sa.Text),
        sa.Column("due_at", MOMENT),
        sa.Column("look_at", MOMENT, index=True),
        sa.Column("others_look_at", MOMENT),
        sa.Column("waits_for", sa.BigInteger),
        sa.Column("last_job", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.CheckConstraint("(cron IS NULL) <> (every IS NULL)", "jobcron_schedule_when"),
        sa.CheckConstraint(
            "(look_at IS NULL) = (due_at IS NULL) AND (others_look_at IS NULL) = (due_at IS NULL)",
            "jobcron_schedule_due",
        ),
    )
    op.create_table(
        "jobcron_slot",
        sa.Column(
            "schedule", sa.Integer, sa.ForeignKey("jobcron_schedule.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("local_time", sa.Text, primary_key=True),
        sa.Column("fold", sa.SmallInteger, primary_key=True),
        sa.Column("due_at", MOMENT, nullable=False, index=True),
        sa.Column("at", MOMENT, nullable=False, server_default=now),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("missed", sa.Integer, nullable=False),
        sa.Column("job", sa.BigInteger),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(GRANT)


GRANT = """
DO $$
DECLARE
    grantee regrole;
BEGIN
    FOR grantee IN
        SELECT DISTINCT acl.grantee FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = to_regclass('jobcron_type') AND acl.privilege_type = 'SELECT' AND acl.grantee <> 0
    LOOP
        EXECUTE format('GRANT SELECT ON jobcron_schedule TO %s', grantee);
    END LOOP;
END $$
"""
"""Else no section could run between `jobcron upgrade` and `jobcron grant`; schedules create jobs after that."""
