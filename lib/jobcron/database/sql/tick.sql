-- May the source :source have anything to do? One row, one statement, no write.
--   known   the database knows the source, and its ready jobs are those of its types
--   due     a run row is due: :run_name has none within :activity_interval
--   ready   a job is ready, past its lease, or past its expiry
-- The priorities are walked as in claim.postgresql.sql.
WITH RECURSIVE source (type, own_iter_ready) AS (
    SELECT type, own_iter_ready FROM jobcron_source WHERE name = :source
),
step (type, priority) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = source.type)
    FROM source
  UNION ALL
    SELECT step.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step.type AND priority > step.priority)
    FROM step WHERE step.priority IS NOT NULL
)
SELECT
    EXISTS (SELECT 1 FROM source) AND NOT EXISTS (SELECT 1 FROM source WHERE own_iter_ready) AS known,
    NOT EXISTS (SELECT 1 FROM jobcron_run
                WHERE name = :run_name AND date_started > @after(:minus_activity_interval)) AS due,
    EXISTS (SELECT 1 FROM step
            -- a subquery for each step, not a join, which PostgreSQL may turn round and read from its wide end
            WHERE (SELECT 1 FROM jobcron_job AS job
                   WHERE job.status = 0 AND job.type = step.type AND job.priority = step.priority
                     AND job.scheduled_start <= @now
                     AND (job.lease_expires IS NULL OR job.lease_expires <= @now)
                   ORDER BY job.scheduled_start, job.id  -- or PostgreSQL hopes to meet one soon, reading all rows
                   LIMIT 1) = 1)
    OR EXISTS (SELECT 1 FROM source JOIN jobcron_job AS job
               ON job.status = 1 AND job.type = source.type AND job.lease_expires <= @now)
    OR EXISTS (SELECT 1 FROM source JOIN jobcron_job AS job
               ON job.status = 0 AND job.type = source.type
               AND job.expires_at IS NOT NULL AND job.expires_at <= @now) AS ready
