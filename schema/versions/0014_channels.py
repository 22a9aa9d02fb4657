"""Channels, which limit how many jobs run at once, and the channel of a job.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

OLDEST_CODE = "0005"
"""Code that was written for these versions of the tables still works with them; it does not heed channels."""

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)

_IN_ORDER = "(type, priority, scheduled_start, id) WHERE status = 0 AND channel IS"

_INDEXES = {
    # Jobs in no channel have entries in one index of these, as before: a full channel's jobs are not in their way.
    "jobcron_job_free": f"{_IN_ORDER} NULL",
    "jobcron_job_limited": f"{_IN_ORDER} NOT NULL",
    "jobcron_job_lane": "(type, channel, channel_key, priority, scheduled_start, id) "
    "WHERE status = 0 AND channel IS NOT NULL",
    "jobcron_job_placed": "(type, channel) WHERE status = 1 AND channel IS NOT NULL",
}

LATE_INDEXES = {
    name: dict.fromkeys(("postgresql", "sqlite"), f"CREATE INDEX {{how}} {name} ON jobcron_job {columns}")
    for name, columns in _INDEXES.items()
}
"""Built after all migrations, on PostgreSQL while jobs are created: see `jobcron.database.upgrade`."""

OVERTAKEN_INDEXES = ("jobcron_job_ready",)
"""Dropped from new tables only. Older code claims by it: the migration that shuts that code out drops it."""


def upgrade() -> None:
    """Make the tables and the columns; on PostgreSQL whoever runs jobs may lock channels, as claims do."""
    op.add_column("jobcron_job", sa.Column("channel", sa.Text))
    op.add_column("jobcron_job", sa.Column("channel_key", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "jobcron_channel",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("capacity", sa.Integer),
        sa.Column("per_key", sa.Integer),
        sa.Column("throttle", sa.Integer),
        sa.Column("period", sa.Double),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("configured", sa.Text),
        sa.Column("changed_by", sa.Text),
        sa.Column("changed_at", MOMENT),
        sa.CheckConstraint("capacity >= 0 AND per_key >= 1 AND throttle >= 1", "jobcron_channel_limits"),
        sa.CheckConstraint("(throttle IS NULL) = (period IS NULL)", "jobcron_channel_throttle"),
    )
    op.create_table(
        "jobcron_start",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False, index=True),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(GRANT)


GRANT = """
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT acl.grantee::regrole AS grantee,
               has_table_privilege(acl.grantee, 'jobcron_run', 'INSERT') AS runs
        FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = to_regclass('jobcron_type') AND acl.privilege_type = 'SELECT' AND acl.grantee <> 0
    LOOP
        EXECUTE format(
            'GRANT %s ON jobcron_channel, jobcron_start TO %s',
            CASE WHEN found.runs THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END, found.grantee
        );
        IF found.runs THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE jobcron_start_id_seq TO %s', found.grantee);
        END IF;
    END LOOP;
END $$
"""
"""Else no section could claim jobs in channels between `jobcron upgrade` and `jobcron grant`."""
