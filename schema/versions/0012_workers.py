"""Rows of workers, for looking only.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

OLDEST_CODE = "0005"
"""Code written for these versions of the tables still works with them: it does not look at the new one."""

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table, and its rights on PostgreSQL, which are those on the rows of runs."""
    op.create_table(
        "jobcron_worker",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("sections", sa.Text, nullable=False),
        sa.Column("processes", sa.Integer, nullable=False),
        sa.Column("most_processes", sa.Integer, nullable=False),
        sa.Column("is_leaving", sa.Boolean, nullable=False),
        sa.Column("started", MOMENT, nullable=False),
        sa.Column("seen", MOMENT, nullable=False),
        sa.Column("silent_after", MOMENT, nullable=False),
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
            CASE WHEN bool_or(acl.privilege_type = 'INSERT') THEN ', INSERT, UPDATE, DELETE'
                 WHEN bool_or(acl.privilege_type = 'DELETE') THEN ', DELETE' ELSE '' END AS more
        FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = to_regclass('jobcron_run') AND acl.grantee <> 0
          AND acl.privilege_type IN ('SELECT', 'INSERT', 'DELETE')
        GROUP BY acl.grantee
    LOOP
        EXECUTE format('GRANT SELECT%s ON jobcron_worker TO %s', found.more, found.grantee);
    END LOOP;
END $$
"""
"""Else workers could not be seen between `jobcron upgrade` and `jobcron grant`."""
