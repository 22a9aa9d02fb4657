"""Which sections are silent, and who was told.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

OLDEST_CODE = "0005"
"""Code written for these versions of the tables still works with them: it does not look at the new one."""

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table, and its rights on PostgreSQL: who may write rows of runs looks for silent sections."""
    op.create_table(
        "jobcron_silence",
        sa.Column("section", sa.Text, primary_key=True),
        sa.Column("last_run", MOMENT, nullable=False),
        sa.Column("is_over", sa.Boolean, nullable=False),
        sa.Column("due", MOMENT),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(GRANT)


GRANT = """
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT acl.grantee::regrole AS grantee, bool_or(acl.privilege_type = 'INSERT') AS writes
        FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = to_regclass('jobcron_run') AND acl.grantee <> 0
          AND acl.privilege_type IN ('SELECT', 'INSERT')
        GROUP BY acl.grantee
    LOOP
        EXECUTE format(
            'GRANT %s ON jobcron_silence TO %s',
            CASE WHEN found.writes THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END, found.grantee
        );
    END LOOP;
END $$
"""
"""Else runs could not look between `jobcron upgrade` and `jobcron grant`."""
