-- As dead.sql, but also jobs in channels, if they have room: of a job whose lease is past, the place may have been taken.
WITH RECURSIVE @held_room,
front AS MATERIALIZED (
    SELECT id, claimed_by, date_started
    FROM jobcron_job AS job
    WHERE status = 1 AND type = :type AND :section NOT IN @paused_sections AND :type NOT IN @paused_types
      AND @is_dead AND job.queue NOT IN @paused_queues
      AND (job.channel IS NULL OR @has_room(job))
    ORDER BY priority, scheduled_start, id
    LIMIT 1
    @locked
)
SELECT job.id, job.lease_token, @is_gone AS is_gone,
       job.date_started IS NOT NULL AND (job.crash_count = 0 OR job.begun_token = job.lease_token) AS has_begun,
       NOT EXISTS (SELECT 1 FROM jobcron_job AS earlier
                   WHERE earlier.status = 1 AND earlier.type = :type
                     AND earlier.claimed_by = job.claimed_by AND earlier.date_started = job.date_started
                     AND (earlier.priority, earlier.scheduled_start, earlier.id)
                         < (job.priority, job.scheduled_start, job.id)) AS is_head,
       1 = 1 AS has_channels
FROM jobcron_job AS job JOIN front
  ON job.id = front.id
  OR (job.claimed_by = front.claimed_by AND job.date_started = front.date_started)
WHERE job.status = 1 AND job.type = :type
  AND @is_dead AND job.queue NOT IN @paused_queues
  AND (job.channel IS NULL OR @has_room(job))
@locked
