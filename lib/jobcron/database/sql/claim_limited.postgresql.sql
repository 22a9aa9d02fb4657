-- Take up to :batch ready jobs of one type, in channels or in none, in the order of both together. Before this in the
-- same transaction, lock_channels.sql has locked the channels :held; jobs of others are left alone, since they
-- came after that.
--
-- A job whose channel has a limit is claimed alone, as is one whose process died: it begins at once, and takes up no
-- place while other jobs run. So a place is taken exactly from "date_started" on;
-- hence the clock of that moment: the statement began before it saw what others had committed.
-- :channel is that of the section: its jobs without a channel run there, and stay in it. Else it is empty.
-- "candidate" locks nothing, so whether a job may start is asked again of the row that is locked: it may be a newer one.
-- Where an order is kept ("turns"), a job that others have locked is not passed over: one that is behind it has to wait.
-- So the first in line is tried alone, or else ("heads") only the first of each order. Whether jobs of other types come
-- first is then asked of one after the other, until there is none.
-- For what is in brackets see PARTS in _room.py. Without "keys", "turns" and "far" candidates come in line: no join with
-- what is shut can turn them round, since its condition can neither be hashed nor sorted.
-- See claim.postgresql.sql for the rest.
WITH RECURSIVE @held_room,[[lanes:
@candidates,]][[plain:
step (priority) AS (
    SELECT (SELECT priority FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL
            ORDER BY priority LIMIT 1)
    WHERE :section NOT IN @paused_sections AND :type NOT IN @paused_types@is_alone
      AND NOT EXISTS (SELECT 1 FROM shut WHERE @within(:channel, shut.name))
  UNION ALL
    SELECT (SELECT priority FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL AND priority > step.priority
            ORDER BY priority LIMIT 1)
    FROM step WHERE step.priority IS NOT NULL
),
plain AS [[!turns:MATERIALIZED ]](
    SELECT due.*
    FROM step CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.scheduled_start[[turns:, job.channel_key]][[!turns:[[many:,
               job.crash_count > 0
               OR EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE @within(:channel, channel.name)) AS is_alone]]]]
        FROM jobcron_job AS job
        WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL AND job.priority = step.priority
          AND @may_begin(job)[[keys:
          AND NOT EXISTS (SELECT 1 FROM shut_key
                          WHERE shut_key.channel_key = job.channel_key AND @within(:channel, shut_key.name))]]
          AND @has_turn(:channel, job.channel_key)[[far: AND @is_first(:channel, job.channel_key, job)]]
        ORDER BY job.scheduled_start, job.id
        LIMIT [[turns:greatest(:batch, @near)]][[!turns::batch
        FOR NO KEY UPDATE OF job SKIP LOCKED]]
    ) AS due
    LIMIT [[turns:greatest(:batch, @near)]][[!turns::batch]]
),]][[turns:
line_up (id, priority, scheduled_start, channel, channel_key) AS (
    [[lanes:SELECT id, priority, scheduled_start, channel, channel_key FROM candidate]][[lanes:[[plain:
  UNION ALL
    ]]]][[plain:SELECT id, priority, scheduled_start, CAST(:channel AS text), channel_key FROM plain]]
),[[heads:
behind (id) AS MATERIALIZED (
    SELECT ranked.id
    FROM (SELECT line_up.id,
                 row_number() OVER (PARTITION BY channel.name,
                                                 CASE channel.sequential WHEN 'target' THEN line_up.channel_key END
                                    @in_line) AS place
          FROM line_up JOIN jobcron_channel AS channel ON @within(line_up.channel, channel.name)
          WHERE channel.sequential = 'channel' OR (channel.sequential = 'target' AND line_up.channel_key <> '')
         ) AS ranked
    WHERE ranked.place > 1
),]]]][[locks:
limited AS MATERIALIZED (
    SELECT locked.*
    FROM (SELECT id, channel FROM [[turns:[[mixed:[[!far:(SELECT * FROM ]]]]line_up[[heads: WHERE id NOT IN (SELECT id FROM behind)]] @in_line[[mixed:[[!far:) AS sorted
          WHERE id IN (SELECT turn.id FROM turn WHERE turn.waits) OR @is_first(sorted)]]]][[!far: LIMIT 1]]]][[!turns:candidate[[keys: @in_line]][[!keys:[[far: @in_line]]]]]]) AS first
    CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.scheduled_start[[many:,
               job.crash_count > 0
               OR EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE @within(first.channel, channel.name)) AS is_alone]]
        FROM jobcron_job AS job
        WHERE job.id = first.id AND job.status = 0 AND coalesce(job.channel, :channel) = first.channel AND @may_begin(job)
        FOR NO KEY UPDATE OF job SKIP LOCKED
    ) AS locked
    LIMIT :batch
),]]
ready AS (
    [[locks:SELECT * FROM limited]][[!turns:[[plain:[[lanes: UNION ALL ]]SELECT * FROM plain]]]]
),
batch AS (
    [[many:SELECT id,
           row_number() OVER in_order AS place,
           count(*) FILTER (WHERE is_alone) OVER in_order AS alone
    FROM ready@guard
    WINDOW in_order AS (@in_line)]][[!many:SELECT id, 1 AS place FROM ready@guard @in_line LIMIT 1]]
)
UPDATE jobcron_job AS job
SET @claimed_job,
    date_started = @moment,
    channel = coalesce(job.channel, nullif(:channel, ''))
FROM batch
WHERE job.id = batch.id[[many: AND batch.place <= :batch AND (batch.place = 1 OR batch.alone = 0)]]
RETURNING job.id, job.lease_token, batch.place,
          [[starts:EXISTS (SELECT 1 FROM jobcron_channel AS channel
                  WHERE channel.throttle IS NOT NULL AND @within(job.channel, channel.name))]][[!starts:FALSE]] AS is_throttled,
          job.uuid, job.attempt_count, job.crash_count, job.max_retries, @is_bare(job) AS is_bare,
          CASE WHEN isfinite(GREATEST(job.date_created, job.scheduled_start))
               THEN CAST(EXTRACT(EPOCH FROM job.date_started - GREATEST(job.date_created, job.scheduled_start))
                         AS double precision) END AS waited
