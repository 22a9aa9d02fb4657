-- When the oldest ready job of the source :source was due that no pause keeps back. The priorities are walked as in
-- claim.postgresql.sql: one probe of the index for each.
WITH RECURSIVE step (type, priority) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = jobcron_source.type
                                             AND channel IS NULL)
    FROM jobcron_source WHERE name = :source AND type NOT IN @paused_types
  UNION ALL
    SELECT step.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step.type AND channel IS NULL AND priority > step.priority)
    FROM step WHERE step.priority IS NOT NULL
),
step_in (type, priority) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = jobcron_source.type
                                             AND channel IS NOT NULL)
    FROM jobcron_source WHERE name = :source AND type NOT IN @paused_types
  UNION ALL
    SELECT step_in.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step_in.type AND channel IS NOT NULL AND priority > step_in.priority)
    FROM step_in WHERE step_in.priority IS NOT NULL
)
SELECT min(due) AS due FROM (
    SELECT min((SELECT job.scheduled_start FROM jobcron_job AS job
                WHERE job.status = 0 AND job.type = step.type AND job.channel IS NULL AND job.priority = step.priority
                  AND @can_start(job)
                ORDER BY job.scheduled_start, job.id
                LIMIT 1)) AS due
    FROM step WHERE step.priority IS NOT NULL
  UNION ALL
    SELECT min((SELECT job.scheduled_start FROM jobcron_job AS job
                WHERE job.status = 0 AND job.type = step_in.type AND job.channel IS NOT NULL
                  AND job.priority = step_in.priority
                  AND @can_start(job)
                  AND NOT EXISTS (SELECT 1 FROM @paused_channels AS paused WHERE @within(job.channel, paused.name))
                ORDER BY job.scheduled_start, job.id
                LIMIT 1)) AS due
    FROM step_in WHERE step_in.priority IS NOT NULL
) AS both_lines
