"""A view of the jobs for people who look with SQL: names instead of numbers, and leases with their renewals.

A later migration that changes or rebuilds a table that the view names has to drop it first, and make it again.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"

OLDEST_CODE = "0005"
"""Code that was written for the version before still works with these tables: it does not know the view."""

STATUSES = ("WAITING", "RUNNING", "COMPLETED", "FAILED", "SUSPENDED", "CANCELLED", "EXPIRED", "BLOCKED")

NAMES = " ".join(f"WHEN {number} THEN '{name}'" for number, name in enumerate(STATUSES))

VIEW = f"""
CREATE VIEW jobcron_jobs AS
SELECT job.id, type.name AS type, CASE job.status {NAMES} END AS status, job.queue, job.priority,
       job.scheduled_start, job.date_created, job.date_started, job.date_finished, job.expires_at,
       job.attempt_count, job.crash_count, job.max_retries,
       CASE WHEN renewal.job IS NULL THEN job.progress ELSE renewal.progress END AS progress,
       CASE WHEN renewal.lease_expires > job.lease_expires THEN renewal.lease_expires ELSE job.lease_expires END
           AS lease_expires,
       job.claimed_by, job.requester, job.description, job.target_type, job.target_id, job.unique_key,
       job.json_data, job.result, job.oops_id,
       CASE WHEN job.status = 4 THEN
           (SELECT event.detail FROM jobcron_event AS event
            WHERE event.job = job.id AND event.kind = 'suspended'
            ORDER BY event.id DESC LIMIT 1)
       END AS suspended_because,
       job.uuid
FROM jobcron_job AS job
JOIN jobcron_type AS type ON type.id = job.type
LEFT JOIN jobcron_renewal AS renewal
    ON renewal.job = job.id AND renewal.lease_token = job.lease_token AND job.status = 1
"""


def upgrade() -> None:
    """Make the view."""
    op.execute(VIEW)
