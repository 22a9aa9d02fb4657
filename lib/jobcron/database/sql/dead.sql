-- The first dead job of a type, one whose lease is past, and all of its batch of which the same is true, locked. The jobs
-- of a batch have one claimant and one time of the claim, and run in this order. So of a batch that a dead process left,
-- only the first one that is RUNNING still can have begun: "is_head". The others go back to WAITING as they were.
-- "has_begun": a job that died before notes it when it begins (claim, take_over); the first death of a job is inferred.
-- One that waits for its process to start has no date_started (await_process).
--
-- A job is dead also if it was claimed by one of :gone, the runs that are known to be over (`scripts.locks.holders`): "is_gone".
-- What is paused is not taken over: it would run.
-- A lease is past if both are: the one on the job's row, and the renewal under the same token.
-- PostgreSQL passes over a job whose own transaction holds its row: it is alive, or the server will soon end its
-- connection. On SQLite our transaction holds the database's write lock.
--
-- Only jobs in no channel; others are taken over where there is room: dead_limited.sql. There is always one row at least:
-- "has_channels" tells whether jobs of the type wait, or are dead, in a channel, so that claims ask in vain for none.
WITH front AS MATERIALIZED (
    SELECT id, claimed_by, date_started
    FROM jobcron_job AS job
    WHERE status = 1 AND type = :type AND :section NOT IN @paused_sections AND :type NOT IN @paused_types
      AND job.channel IS NULL AND @is_dead AND job.queue NOT IN @paused_queues
    ORDER BY priority, scheduled_start, id
    LIMIT 1
    @locked
),
dead AS MATERIALIZED (
    SELECT job.id, job.lease_token, @is_gone AS is_gone,
           job.date_started IS NOT NULL AND (job.crash_count = 0 OR job.begun_token = job.lease_token) AS has_begun,
           NOT EXISTS (SELECT 1 FROM jobcron_job AS earlier
                       WHERE earlier.status = 1 AND earlier.type = :type
                         AND earlier.claimed_by = job.claimed_by AND earlier.date_started = job.date_started
                         AND (earlier.priority, earlier.scheduled_start, earlier.id)
                             < (job.priority, job.scheduled_start, job.id)) AS is_head
    FROM jobcron_job AS job JOIN front
      ON job.id = front.id
      OR (job.claimed_by = front.claimed_by AND job.date_started = front.date_started)
    WHERE job.status = 1 AND job.type = :type
      AND job.channel IS NULL AND @is_dead AND job.queue NOT IN @paused_queues
    @locked
)
SELECT dead.id, dead.lease_token, dead.is_gone, dead.has_begun, dead.is_head, waiting.has_channels
FROM (SELECT EXISTS (SELECT 1 FROM jobcron_job AS job
                     WHERE job.status = 0 AND job.type = :type AND job.channel IS NOT NULL)
          OR EXISTS (SELECT 1 FROM jobcron_job AS job
                     WHERE job.status = 1 AND job.type = :type AND job.channel IS NOT NULL
                       AND @is_dead) AS has_channels) AS waiting
LEFT JOIN dead ON 1 = 1
