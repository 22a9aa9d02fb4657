-- When the oldest ready job of the source :source was due, and what time it is now. The priorities are walked as in
-- claim.postgresql.sql: one probe of the index for each.
WITH RECURSIVE step (type, priority) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = jobcron_source.type)
    FROM jobcron_source WHERE name = :source
  UNION ALL
    SELECT step.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step.type AND priority > step.priority)
    FROM step WHERE step.priority IS NOT NULL
)
SELECT min((SELECT job.scheduled_start FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = step.type AND job.priority = step.priority
              AND job.scheduled_start <= @now
              AND (job.lease_expires IS NULL OR job.lease_expires <= @now)
              AND (job.expires_at IS NULL OR job.expires_at > @now)
            ORDER BY job.scheduled_start, job.id
            LIMIT 1)) AS due
FROM step WHERE step.priority IS NOT NULL
