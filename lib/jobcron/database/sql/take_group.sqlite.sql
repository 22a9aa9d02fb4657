-- Find up to :batch ready jobs of one type: see take_group.postgresql.sql. The transaction holds the write lock, which is
-- the claim. The priorities are walked as in claim.sqlite.sql.
WITH RECURSIVE step (number, priority) AS (
    SELECT 1, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = :type AND channel IS NULL)
    WHERE :section NOT IN @paused_sections AND :type NOT IN @paused_types
  UNION ALL
    SELECT step.number + 1, (SELECT min(priority) FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL AND priority > step.priority)
    FROM step WHERE step.priority IS NOT NULL AND step.number < @most_steps
    LIMIT @most_steps
),
ready AS MATERIALIZED (
    SELECT job.id, job.uuid, job.priority, job.scheduled_start, job.date_created, job.lease_token, job.attempt_count,
           job.crash_count, job.unique_key,
           job.needs IS NULL AND job.target_mark IS NULL AND job.json_data = '{}' AS is_bare
    FROM step CROSS JOIN jobcron_job AS job
    WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL AND job.priority = step.priority
      AND @can_start(job)
  UNION ALL
    SELECT job.id, job.uuid, job.priority, job.scheduled_start, job.date_created, job.lease_token, job.attempt_count,
           job.crash_count, job.unique_key,
           job.needs IS NULL AND job.target_mark IS NULL AND job.json_data = '{}' AS is_bare
    FROM jobcron_job AS job
    WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL
      AND job.priority > (SELECT priority FROM step WHERE number = @most_steps)
      AND @can_start(job)
    LIMIT :batch
)
SELECT id, uuid, lease_token + 1 AS token, min(attempt_count, 2147483646) + 1 AS attempts,
       crash_count > 0 OR unique_key IS NOT NULL
       OR EXISTS (SELECT 1 FROM jobcron_edge WHERE predecessor = ready.id) AS is_alone,
       (julianday(@now) - julianday(max(date_created, scheduled_start))) * 86400.0 AS waited,
       is_bare, @now AS started
FROM ready
ORDER BY priority, scheduled_start, id
