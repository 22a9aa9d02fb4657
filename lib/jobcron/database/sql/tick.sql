-- May jobs of the type :type have anything to do? One row, one statement, no write.
--   known   the number of the type; null: the database does not know it
--   due     a run row is due: :run_name has none within :activity_interval; none of a clock that was ahead counts
--   waiting a job that is in no channel is ready, and was so :minus_patience ago, in seconds
--   left_over  one is past its lease, or left by one of the runs :gone; or a job is past its expiry, or cancelled half done
--   limited jobs wait or run in channels: tick_limited.sql tells whether any of them may start
--   scheduled  a schedule is due that creates jobs of this type; or any, if those who run its type leave it. One that
--           waits for a job is not due before that has ended.
--   paused  something is paused that may have jobs of this section: its runs tell of that
-- Jobs of what is paused are not ready; the run that is due all the same tells of the pause.
-- The priorities are walked as in claim.postgresql.sql: "first" is the first job of each.
-- "going" is asked, not joined: for a join, SQLite reads all jobs to build an index or a filter once the table is analyzed.
WITH RECURSIVE source (type) AS (
    SELECT id FROM jobcron_type WHERE name = :type
),
going (type) AS (
    SELECT type FROM source WHERE type NOT IN @paused_types AND :run_name NOT IN @paused_sections
),
step (number, type, first) AS (
    SELECT 1, type, (SELECT id FROM jobcron_job WHERE status = 0 AND type = going.type AND channel IS NULL
                     ORDER BY priority, scheduled_start, id LIMIT 1)
    FROM going
  UNION ALL
    SELECT step.number + 1, step.type,
           (SELECT id FROM jobcron_job
            WHERE status = 0 AND type = step.type AND channel IS NULL
              AND priority > (SELECT first.priority FROM jobcron_job AS first WHERE first.id = step.first)
            ORDER BY priority, scheduled_start, id LIMIT 1)
    FROM step WHERE step.first IS NOT NULL AND step.number < @most_steps
)
SELECT
    (SELECT type FROM source) AS known,
    NOT EXISTS (SELECT 1 FROM jobcron_run
                WHERE name = :run_name AND date_started > @after(:minus_activity_interval)
                  AND date_started <= @now) AS due,
    EXISTS (SELECT 1 FROM step
            -- a subquery for each step, not a join, which PostgreSQL may turn round and read from its wide end
            WHERE (SELECT first.scheduled_start FROM jobcron_job AS first WHERE first.id = step.first) <= @after(:minus_patience)
              AND (SELECT 1 FROM jobcron_job AS job
                   WHERE job.status = 0 AND job.type = step.type AND job.channel IS NULL
                     AND job.priority = (SELECT first.priority FROM jobcron_job AS first WHERE first.id = step.first)
                     AND (job.scheduled_start, job.id) >= (
                         (SELECT first.scheduled_start FROM jobcron_job AS first WHERE first.id = step.first), step.first)
                     AND job.scheduled_start <= @after(:minus_patience)
                 AND (job.lease_expires IS NULL OR job.lease_expires <= @now)
                 AND job.queue NOT IN @paused_queues
                   ORDER BY job.scheduled_start, job.id  -- or PostgreSQL hopes to meet one soon, reading all rows
                   LIMIT 1) = 1)
    OR (SELECT 1 FROM jobcron_job AS job
        WHERE job.status = 0 AND job.type = (SELECT type FROM going) AND job.channel IS NULL
          AND job.priority > (SELECT first.priority FROM jobcron_job AS first
                              WHERE first.id = (SELECT step.first FROM step WHERE step.number = @most_steps))
          AND job.scheduled_start <= @after(:minus_patience)
                 AND (job.lease_expires IS NULL OR job.lease_expires <= @now)
                 AND job.queue NOT IN @paused_queues
        ORDER BY job.priority, job.scheduled_start, job.id
        LIMIT 1) = 1 AS waiting,
    (SELECT 1 FROM jobcron_job AS job
     WHERE job.status = 1 AND job.type = (SELECT type FROM going) AND job.lease_expires <= @now
       AND job.channel IS NULL AND job.queue NOT IN @paused_queues
       AND NOT EXISTS (SELECT 1 FROM jobcron_renewal AS renewal
                       WHERE renewal.job = job.id AND renewal.lease_token = job.lease_token
                         AND renewal.lease_expires > @now)
     ORDER BY job.lease_expires LIMIT 1) = 1
    OR :gone <> '' AND (SELECT 1 FROM jobcron_job AS job
                        WHERE job.status = 1 AND job.type = (SELECT type FROM going) AND job.channel IS NULL
                          AND job.queue NOT IN @paused_queues AND @is_gone
                        ORDER BY job.lease_expires LIMIT 1) = 1
    OR (SELECT 1 FROM jobcron_job AS job
        WHERE job.status = 0 AND job.type = (SELECT type FROM going)
          AND job.expires_at IS NOT NULL AND job.expires_at <= @now AND job.begun_token = 0
        ORDER BY job.expires_at LIMIT 1) = 1
    OR EXISTS (SELECT 1 FROM jobcron_job AS job
               WHERE job.status = 5 AND job.has_committed AND job.type = (SELECT type FROM going)
                 AND job.queue NOT IN @paused_queues
                 AND (job.lease_expires IS NULL OR job.lease_expires <= @now)) AS left_over,
    (SELECT 1 FROM jobcron_job AS job
     WHERE job.status = 0 AND job.type = (SELECT type FROM going) AND job.channel IS NOT NULL
     ORDER BY job.priority, job.scheduled_start, job.id LIMIT 1) = 1
    OR (SELECT 1 FROM jobcron_job AS job
        WHERE job.status = 1 AND job.type = (SELECT type FROM going) AND job.channel IS NOT NULL
        ORDER BY job.channel LIMIT 1) = 1 AS limited,
    EXISTS (SELECT 1 FROM jobcron_schedule AS schedule
            WHERE schedule.look_at <= @now
              AND (schedule.type_name = :type OR schedule.others_look_at <= @now)
              AND NOT EXISTS (SELECT 1 FROM jobcron_job AS job
                              WHERE job.id = schedule.waits_for AND job.status IN (0, 1, 4, 7))) AS scheduled,
    EXISTS (SELECT 1 FROM jobcron_pause AS pause
            WHERE (pause.until IS NULL OR pause.until > @now)
              AND (pause.scope IN ('queue', 'channel') OR pause.scope = 'section' AND pause.name = :run_name
                   OR pause.scope = 'type' AND pause.name = :type)) AS paused
