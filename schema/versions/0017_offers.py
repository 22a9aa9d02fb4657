"""What was offered to whom, and not received yet.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

OLDEST_CODE = "0005"
"""Code written for these versions of the tables still works with them: it does not look at the new one."""


def upgrade() -> None:
    """Make the table, and its rights on PostgreSQL: who may write events may write offers."""
    op.create_table(
        "jobcron_offer",
        sa.Column(
            "job",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("jobcron_job.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("section", sa.Text, nullable=False),
        sa.Column("dispatcher", sa.Text, nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
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
        WHERE pg_class.oid = to_regclass('jobcron_event') AND acl.grantee <> 0
          AND acl.privilege_type IN ('SELECT', 'INSERT')
        GROUP BY acl.grantee
    LOOP
        EXECUTE format(
            'GRANT %s ON jobcron_offer TO %s',
            CASE WHEN found.writes THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END, found.grantee
        );
    END LOOP;
END $$
"""
"""Else jobs could not be created between `jobcron upgrade` and `jobcron grant`."""
