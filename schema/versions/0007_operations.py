"""Pauses of sections, types and queues; acts on many jobs, and what they changed.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

OLDEST_CODE = "0005"
"""Code that was written for these versions of the tables still works with them; it does not heed pauses."""


def upgrade() -> None:
    """Make the tables; on PostgreSQL whoever may read types may read pauses, as claims do."""
    op.create_table(
        "jobcron_pause",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True)),
    )
    make_acts()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(GRANT)


def make_acts() -> None:
    """Make the tables of acts, and of what they changed.

    These rows name jobs without a foreign key, whose check would need an index for each job that is pruned.
    """
    op.create_table(
        "jobcron_act",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sqlite_autoincrement=True,
    )
    act = sa.ForeignKey("jobcron_act.id", ondelete="CASCADE")
    op.create_table(
        "jobcron_undo",
        sa.Column("act", BIG_ID, act, primary_key=True, autoincrement=False),
        sa.Column("job", BIG_ID, primary_key=True, autoincrement=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
    )


GRANT = """
DO $$
DECLARE
    grantee regrole;
BEGIN
    FOR grantee IN
        SELECT DISTINCT acl.grantee FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = to_regclass('jobcron_type') AND acl.privilege_type = 'SELECT' AND acl.grantee <> 0
    LOOP
        EXECUTE format('GRANT SELECT ON jobcron_pause TO %s', grantee);
    END LOOP;
END $$
"""
"""Else no section could claim between `jobcron upgrade` and `jobcron grant`."""
