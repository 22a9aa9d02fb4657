-- Take up to :batch ready jobs of one type, in channels or in none, in the order of both together. Before this in the
-- same transaction, lock_channels.postgresql.sql has locked the channels :held; jobs of others are left alone, since they
-- came after that.
--
-- A job whose channel has a limit is claimed alone, as is one whose process died: it begins at once, and takes up no
-- place while other jobs run. So a place is taken exactly from "date_started" on;
-- hence the clock of that moment: the statement began before it saw what others had committed.
-- :channel is that of the section: its jobs without a channel run there, and stay in it. Else it is empty.
-- "candidate" locks nothing, so whether a job may start is asked again of the row that is locked: it may be a newer one.
-- See claim.postgresql.sql for the rest.
WITH RECURSIVE @held_room,
@candidates,
step (priority) AS (
    SELECT (SELECT priority FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL
            ORDER BY priority LIMIT 1)
    WHERE :section NOT IN @paused_sections AND :type NOT IN @paused_types
      AND NOT EXISTS (SELECT 1 FROM shut WHERE @within(:channel, shut.name))
  UNION ALL
    SELECT (SELECT priority FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL AND priority > step.priority
            ORDER BY priority LIMIT 1)
    FROM step WHERE step.priority IS NOT NULL
),
plain AS MATERIALIZED (
    SELECT due.id, due.priority, due.scheduled_start, due.is_alone
    FROM step CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.scheduled_start,
               job.crash_count > 0
               OR EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE @within(:channel, channel.name)) AS is_alone
        FROM jobcron_job AS job
        WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL AND job.priority = step.priority
          AND @can_start(job)
          AND NOT EXISTS (SELECT 1 FROM shut_key
                          WHERE shut_key.channel_key = job.channel_key AND @within(:channel, shut_key.name))
          AND @has_turn(:channel, job.channel_key)
        ORDER BY job.scheduled_start, job.id
        LIMIT :batch
        FOR NO KEY UPDATE OF job SKIP LOCKED
    ) AS due
    LIMIT :batch
),
limited AS MATERIALIZED (
    SELECT locked.*
    FROM (SELECT id FROM candidate ORDER BY priority, scheduled_start, id) AS in_order
    CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.scheduled_start,
               job.crash_count > 0
               OR EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE @within(job.channel, channel.name)) AS is_alone
        FROM jobcron_job AS job
        WHERE job.id = in_order.id AND job.status = 0 AND @can_start(job)
        FOR NO KEY UPDATE OF job SKIP LOCKED
    ) AS locked
    LIMIT :batch
),
ready AS (
    SELECT * FROM plain UNION ALL SELECT * FROM limited
),
batch AS (
    SELECT id,
           row_number() OVER in_order AS place,
           count(*) FILTER (WHERE is_alone) OVER in_order AS alone
    FROM ready
    WINDOW in_order AS (ORDER BY priority, scheduled_start, id)
)
UPDATE jobcron_job AS job
SET @claimed_job,
    date_started = @moment,
    channel = coalesce(job.channel, nullif(:channel, ''))
FROM batch
WHERE job.id = batch.id AND batch.place <= :batch AND (batch.place = 1 OR batch.alone = 0)
RETURNING job.id, job.lease_token, batch.place,
          EXISTS (SELECT 1 FROM jobcron_channel AS channel
                  WHERE channel.throttle IS NOT NULL AND @within(job.channel, channel.name)) AS is_throttled
