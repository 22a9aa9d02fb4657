"""Graphs: jobs that wait for other jobs, and are released by the database itself.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

OLDEST_CODE = "0005"
"""Code that was written for these versions of the tables still works with them: a trigger releases what waits."""

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# WAITING 0, RUNNING 1, COMPLETED 2, FAILED 3, SUSPENDED 4, CANCELLED 5, EXPIRED 6, BLOCKED 7.
LEGAL_MOVE = """
    NEW.lease_token >= OLD.lease_token
    AND (NEW.status <> 1 OR OLD.status = 1 OR NEW.lease_token > OLD.lease_token)
    AND (OLD.status = NEW.status
         OR OLD.status = 0 AND NEW.status IN (1, 2, 4, 5, 6, 7)
         OR OLD.status = 1 AND NEW.status IN (0, 2, 3, 4, 5)
         OR OLD.status = 2 AND NEW.status IN (0, 7)
         OR OLD.status IN (3, 5, 6) AND NEW.status IN (0, 2, 7)
         OR OLD.status = 4 AND NEW.status IN (0, 2, 5)
         OR OLD.status = 7 AND NEW.status IN (0, 2, 5, 6))
"""

GREATEST_TOKEN = 2**62

NO_TOKEN = {
    "postgresql": f"OLD.lease_token >= {GREATEST_TOKEN}",
    "sqlite": f"typeof(OLD.lease_token) <> 'integer' OR OLD.lease_token >= {GREATEST_TOKEN}",
}
"""As in 0003: a token that cannot grow may be replaced, by any."""

BLOCKED = "CREATE INDEX {how} jobcron_job_blocked ON jobcron_job (id) WHERE status = 7"

LATE_INDEXES = {"jobcron_job_blocked": {"postgresql": BLOCKED, "sqlite": BLOCKED}}
"""Built after all migrations, on PostgreSQL while jobs are created: see `jobcron.database.upgrade`."""


def upgrade() -> None:
    """Make the table of edges and the trigger that heeds them; a job can be moved to and from BLOCKED by hand."""
    dialect = op.get_bind().dialect.name
    make_edges()
    guard_moves(dialect)
    if dialect == "sqlite":
        op.execute(RELEASE_SQLITE)
    else:
        op.execute(RELEASE_FUNCTION)
        op.execute(RELEASE_POSTGRESQL)
        op.execute(GRANT)


def make_edges() -> None:
    """Make the table, and the fact on a job's row for which the trigger looks.

    A predecessor has no foreign key, whose check would cost each job that is pruned a search: pruning leaves those
    alone that are needed. An edge goes with its successor.
    """
    op.add_column(
        "jobcron_job", sa.Column("has_successors", sa.Boolean, nullable=False, server_default=sa.false())
    )
    successor = sa.ForeignKey("jobcron_job.id", ondelete="CASCADE")
    op.create_table(
        "jobcron_edge",
        sa.Column("successor", BIG_ID, successor, primary_key=True, autoincrement=False),
        sa.Column("predecessor", BIG_ID, primary_key=True, autoincrement=False, index=True),
        sa.Column("any_end", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("is_met", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.CheckConstraint("successor <> predecessor", "jobcron_edge_ends"),
    )
    unmet = sa.text("NOT is_met")
    op.create_index(
        "jobcron_edge_unmet", "jobcron_edge", ["successor"], postgresql_where=unmet, sqlite_where=unmet
    )


def guard_moves(dialect: str) -> None:
    """Replace the trigger that refuses illegal moves."""
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


# Whoever ends a job, or makes it run again, marks its edges and releases its successors, in the same transaction:
# a runner of any version, an operator, raw SQL. A job without successors pays one comparison.
ENDS_OR_BEGINS_ANEW = """
    NEW.has_successors AND OLD.status <> NEW.status
    AND (NEW.status IN (2, 3, 5, 6) OR OLD.status IN (2, 3, 5, 6))
"""

MET = "(NEW.status = 2 OR any_end AND NEW.status IN (3, 5, 6))"

RELEASE_SQLITE = f"""
CREATE TRIGGER jobcron_job_release AFTER UPDATE OF status ON jobcron_job
FOR EACH ROW WHEN {ENDS_OR_BEGINS_ANEW}
BEGIN
    UPDATE jobcron_edge SET is_met = {MET} WHERE predecessor = NEW.id;
    UPDATE jobcron_job SET status = 0
    WHERE NEW.status IN (2, 3, 5, 6) AND status = 7
      AND id IN (SELECT successor FROM jobcron_edge WHERE predecessor = NEW.id AND is_met)
      AND NOT EXISTS (SELECT 1 FROM jobcron_edge AS unmet WHERE unmet.successor = jobcron_job.id AND NOT is_met);
END
"""

# Two last predecessors that end at once do not see each other's mark. So whoever ends one locks each successor
# first and looks then, by a new snapshot: the second one waits for the first one's commit, and sees its mark. In
# the order of their numbers, so that two with several successors in common cannot deadlock. A transaction in
# REPEATABLE READ has one snapshot only; the sweep (`jobcron.jobs.graphs.sweeping`) releases what it misses.
# A loop, since for one statement the planner may read all jobs that are BLOCKED.
RELEASE_FUNCTION = f"""
CREATE FUNCTION jobcron_release() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    waiting bigint;
BEGIN
    UPDATE jobcron_edge SET is_met = {MET} WHERE predecessor = NEW.id AND is_met <> {MET};
    IF NEW.status IN (2, 3, 5, 6) THEN
        FOR waiting IN
            SELECT successor FROM jobcron_edge WHERE predecessor = NEW.id AND is_met ORDER BY successor
        LOOP
            PERFORM 1 FROM jobcron_job WHERE id = waiting AND status = 7 FOR NO KEY UPDATE;
            IF FOUND AND NOT EXISTS (SELECT 1 FROM jobcron_edge WHERE successor = waiting AND NOT is_met) THEN
                UPDATE jobcron_job SET status = 0 WHERE id = waiting AND status = 7;
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END
$$
"""

RELEASE_POSTGRESQL = f"""
CREATE TRIGGER jobcron_job_release AFTER UPDATE OF status ON jobcron_job
FOR EACH ROW WHEN ({ENDS_OR_BEGINS_ANEW}) EXECUTE FUNCTION jobcron_release()
"""

GRANT = """
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT acl.grantee::regrole AS grantee, bool_or(acl.privilege_type = 'UPDATE') AS writes
        FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = to_regclass('jobcron_job') AND acl.grantee <> 0
          AND acl.privilege_type IN ('SELECT', 'UPDATE')
        GROUP BY acl.grantee
    LOOP
        EXECUTE format(
            'GRANT %s ON jobcron_edge TO %s',
            CASE WHEN found.writes THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END, found.grantee
        );
    END LOOP;
END $$
"""
"""Else who ends a job could not release what waits for it, between `jobcron upgrade` and `jobcron grant`."""
