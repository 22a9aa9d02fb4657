"""Locks of sections of which one run goes on at a time, on whatever host.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

OLDEST_CODE = "0005"
"""Code written for these versions of the tables still works with them: it does not know such sections."""

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and their rights on PostgreSQL, which are those on renewals."""
    op.create_table(
        "jobcron_lock",
        sa.Column("section", sa.Text, primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("taken", MOMENT, nullable=False),
        sa.Column("lease_expires", MOMENT),
        sa.UniqueConstraint("section", "token", name="jobcron_lock_token"),
    )
    op.create_table(
        "jobcron_lock_wish",
        sa.Column("section", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("wished", MOMENT, nullable=False),
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
        EXECUTE format('GRANT SELECT%s ON jobcron_lock, jobcron_lock_wish TO %s', found.more, found.grantee);
    END LOOP;
END $$
"""
"""Else such sections could not run between `jobcron upgrade` and `jobcron grant`."""
