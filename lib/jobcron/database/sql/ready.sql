-- How many jobs of the source :source are ready, :limit at most for each priority, and since when the first in line of
-- any priority is. One row; the priorities are walked as in tick.sql, so that only ready rows are read.
WITH RECURSIVE step (type, priority) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = source.type)
    FROM jobcron_source AS source WHERE name = :source
  UNION ALL
    SELECT step.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step.type AND priority > step.priority)
    FROM step WHERE step.priority IS NOT NULL
),
line AS (
    SELECT (SELECT count(*) FROM (SELECT 1 FROM jobcron_job AS job
                                  WHERE job.status = 0 AND job.type = step.type AND job.priority = step.priority
                                    AND job.scheduled_start <= @now
                                    AND (job.lease_expires IS NULL OR job.lease_expires <= @now)
                                    AND (job.expires_at IS NULL OR job.expires_at > @now)
                                  ORDER BY job.scheduled_start, job.id  -- see tick.sql
                                  LIMIT :limit) AS counted) AS ready,
           (SELECT CASE WHEN job.date_created > job.scheduled_start THEN job.date_created
                        ELSE job.scheduled_start END
            FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = step.type AND job.priority = step.priority
              AND job.scheduled_start <= @now
              AND (job.lease_expires IS NULL OR job.lease_expires <= @now)
              AND (job.expires_at IS NULL OR job.expires_at > @now)
            ORDER BY job.scheduled_start, job.id
            LIMIT 1) AS since
    FROM step WHERE step.priority IS NOT NULL
)
SELECT coalesce(sum(ready), 0) AS ready, min(since) AS since, @now AS now FROM line
