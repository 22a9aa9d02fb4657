-- Take up to :batch ready jobs of one type: see claim.postgresql.sql for what the parts are for.
--
-- SQLite has no row locks and needs none: the transaction holds the database's write lock.
-- CROSS JOIN makes SQLite keep "step" as the outer loop, and the index (type, priority, scheduled_start, id)
-- gives the inner rows in order: an ORDER BY would read and sort every due job for each claim.
-- LIMIT tells SQLite that "step" is short: else it may read all jobs, once they are analyzed, to build a filter for the join.
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
    SELECT job.id, job.priority, job.scheduled_start, job.crash_count
    FROM step CROSS JOIN jobcron_job AS job
    WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL AND job.priority = step.priority
      AND @can_start(job)
  UNION ALL
    SELECT job.id, job.priority, job.scheduled_start, job.crash_count
    FROM jobcron_job AS job
    WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL
      AND job.priority > (SELECT priority FROM step WHERE number = @most_steps)
      AND @can_start(job)
    LIMIT :batch
),
batch AS (
    SELECT id,
           row_number() OVER in_order AS place,
           sum(crash_count > 0) OVER in_order AS crashes
    FROM ready
    WINDOW in_order AS (ORDER BY priority, scheduled_start, id)
)
UPDATE jobcron_job
SET @claimed,
    date_started = @now
WHERE id IN (SELECT id FROM batch WHERE place = 1 OR crashes = 0)
RETURNING id, lease_token,
          (SELECT place FROM batch WHERE batch.id = jobcron_job.id) AS place,
          uuid, attempt_count, crash_count, max_retries, @is_bare(jobcron_job) AS is_bare,
          (julianday(date_started) - julianday(max(date_created, scheduled_start))) * 86400.0 AS waited
