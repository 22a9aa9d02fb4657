"""Rows of runs whose jobs share transactions: what the next run learns of their death by.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

OLDEST_CODE = "0005"
"""Code written for these versions of the tables still works with them: it does not look at the new one."""

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table, and its rights on PostgreSQL, which are those on renewals."""
    op.create_table(
        "jobcron_group_run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("type", sa.Integer, nullable=False),
        sa.Column("claimed_by", sa.Text, nullable=False),
        sa.Column("started", MOMENT, nullable=False),
        sa.Column("lease_expires", MOMENT, nullable=False),
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
            CASE WHEN bool_or(acl.privilege_type = 'INSERT') THEN ', INSERT, UPDATE, DELETE' ELSE '' END AS more
        FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = to_regclass('jobcron_renewal') AND acl.grantee <> 0
          AND acl.privilege_type IN ('SELECT', 'INSERT')
        GROUP BY acl.grantee
    LOOP
        EXECUTE format('GRANT SELECT%s ON jobcron_group_run TO %s', found.more, found.grantee);
    END LOOP;
END $$
"""
"""Else no jobs could share transactions between `jobcron upgrade` and `jobcron grant`."""
