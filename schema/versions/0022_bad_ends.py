"""On PostgreSQL, an index of the UUIDs of jobs that did not end well: people look for these.

Revision ID: 0022
Revises: 0021
"""

revision = "0022"
down_revision = "0021"

OLDEST_CODE = "0005"
"""Code that was written for these versions of the tables still works with them: it does not use the index."""

# A job has no entry when it is created, nor while it runs, nor when it completes. No other statement asks for a
# UUID that is not null, so none has its plan changed.
LATE_INDEXES = {
    "jobcron_job_bad_end": {
        "postgresql": "CREATE INDEX {how} jobcron_job_bad_end ON jobcron_job (uuid) "
        "WHERE status IN (3, 5, 6) AND uuid IS NOT NULL"
    }
}
"""Built after all migrations, while jobs are created: see `jobcron.database.upgrade`. SQLite has all UUIDs."""


def upgrade() -> None:
    """Change nothing: the index is built later."""
