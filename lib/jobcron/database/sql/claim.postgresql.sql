-- Take up to :batch ready jobs of one type that are in no channel: RUNNING, under a new lease token, in one statement.
-- Those in channels: claim_limited.postgresql.sql. They are not in the index that is walked here, and cost nothing.
--
-- "step" walks the priorities that waiting jobs have, one index probe each, the best first, with the first job of each;
-- "ready" then takes the due jobs of each, from there on. Scanning (priority, scheduled_start) plainly would wade through
-- every job of a better priority that is not due yet. Beyond a hundred priorities plainly scanning takes less than so
-- many probes: "far" does. All are lazy: nothing beyond the :batch-th job is looked at or locked.
--
-- While a transaction is open elsewhere, entries of jobs that have begun since stay in the index, and each claim from
-- its head wades through them, once: so "ready" begins where "step" ended. claim_on goes on where the last claim ended.
--
-- FOR NO KEY UPDATE: FOR UPDATE would not see jobs with an uncommitted foreign-key child. SKIP LOCKED: two
-- runners never wait for each other; a row that somebody moved between our snapshot and our lock is read again
-- and drops out.
--
-- Nothing of a section or a type that is paused is looked at; jobs of a paused queue are passed over.
--
-- A job whose process died before (crash_count > 0) is claimed alone, so that it takes no neighbour along:
-- the batch ends before it. It begins at once, so this notes that it has begun, but for one that will only be ended.
--
-- It returns what an attempt needs of the row: its objects are loaded when the job touches them. "is_last" tells whether
-- it has taken all that it could have, and none waits in a channel: who hears of new jobs need not ask again at once.
WITH RECURSIVE step (number, priority, scheduled_start, id) AS (
    SELECT 1, head.*
    FROM (SELECT priority, scheduled_start, id FROM jobcron_job
          WHERE status = 0 AND type = :type AND channel IS NULL @beyond
          ORDER BY priority, scheduled_start, id LIMIT 1) AS head
    WHERE :section NOT IN @paused_sections AND :type NOT IN @paused_types
  UNION ALL
    SELECT step.number + 1, next.*
    FROM step CROSS JOIN LATERAL (
        SELECT priority, scheduled_start, id FROM jobcron_job
        WHERE status = 0 AND type = :type AND channel IS NULL AND priority > step.priority
        ORDER BY priority, scheduled_start, id LIMIT 1
    ) AS next
    WHERE step.number < @most_steps
),
ready AS MATERIALIZED (
    SELECT found.*
    FROM (
        SELECT due.*
        FROM step CROSS JOIN LATERAL (
            SELECT id, priority, scheduled_start, crash_count
            FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL AND priority = step.priority
              AND (scheduled_start, id) >= (step.scheduled_start, step.id)
              AND @can_start(jobcron_job)
            ORDER BY scheduled_start, id
            LIMIT :batch
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS due
        WHERE step.scheduled_start <= @now
        @far
    ) AS found
    LIMIT :batch
),
batch AS (
    SELECT id,
           row_number() OVER in_order AS place,
           sum(crash_count) OVER in_order AS crashes,
           count(*) OVER () < :batch AND max(crash_count) OVER () = 0 AS is_last
    FROM ready
    WINDOW in_order AS (ORDER BY priority, scheduled_start, id)
)
UPDATE jobcron_job AS job
SET @claimed_job,
    date_started = @moment
FROM batch
WHERE job.id = batch.id AND (batch.place = 1 OR batch.crashes = 0)
RETURNING job.id, job.lease_token, batch.place, job.priority,
          CAST(job.scheduled_start AS text) AS scheduled_start,  -- as text: Python has no year before the first
          job.uuid, job.attempt_count, job.crash_count, job.max_retries, @is_bare(job) AS is_bare,
          CASE WHEN isfinite(GREATEST(job.date_created, job.scheduled_start))
               THEN CAST(EXTRACT(EPOCH FROM job.date_started - GREATEST(job.date_created, job.scheduled_start))
                         AS double precision) END AS waited,
          batch.is_last
          AND NOT EXISTS (SELECT 1 FROM jobcron_job AS other
                          WHERE other.status = 0 AND other.type = :type AND other.channel IS NOT NULL
                          ORDER BY other.priority, other.scheduled_start, other.id LIMIT 1) AS is_last
