-- Take up to :batch ready jobs of one type, in channels or in none: see claim_limited.postgresql.sql, and claim.sqlite.sql.
WITH RECURSIVE @held_room,[[lanes:
@candidates,]][[plain:
step (number, priority) AS (
    SELECT 1, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = :type AND channel IS NULL)
    WHERE :section NOT IN @paused_sections AND :type NOT IN @paused_types@is_alone
      AND NOT EXISTS (SELECT 1 FROM shut WHERE @within(:channel, shut.name))
  UNION ALL
    SELECT step.number + 1, (SELECT min(priority) FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL AND priority > step.priority)
    FROM step WHERE step.priority IS NOT NULL AND step.number < @most_steps
    LIMIT @most_steps
),
plain AS MATERIALIZED (
    SELECT job.id, job.priority, job.scheduled_start[[many:,
           job.crash_count > 0
           OR EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE @within(:channel, channel.name)) AS is_alone]]
    FROM step CROSS JOIN jobcron_job AS job
    WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL AND job.priority = step.priority
      AND @may_begin(job)
[[keys:      AND NOT EXISTS (SELECT 1 FROM shut_key
                      WHERE shut_key.channel_key = job.channel_key AND @within(:channel, shut_key.name))
]]      AND @has_turn(:channel, job.channel_key) AND @is_first(:channel, job.channel_key, job)
  UNION ALL
    SELECT job.id, job.priority, job.scheduled_start[[many:,
           job.crash_count > 0
           OR EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE @within(:channel, channel.name)) AS is_alone]]
    FROM jobcron_job AS job
    WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL
      AND job.priority > (SELECT priority FROM step WHERE number = @most_steps)
      AND @may_begin(job)
[[keys:      AND NOT EXISTS (SELECT 1 FROM shut_key
                      WHERE shut_key.channel_key = job.channel_key AND @within(:channel, shut_key.name))
]]      AND @has_turn(:channel, job.channel_key) AND @is_first(:channel, job.channel_key, job)
    LIMIT :batch
),]][[lanes:
limited AS MATERIALIZED (
    SELECT candidate.id, candidate.priority, candidate.scheduled_start[[many:,
           job.crash_count > 0
           OR EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE @within(job.channel, channel.name)) AS is_alone]]
    FROM candidate[[many: CROSS JOIN jobcron_job AS job ON job.id = candidate.id]]
    [[far:ORDER BY candidate.priority, candidate.scheduled_start, candidate.id]]
    LIMIT :batch
),]]
ready AS (
    [[plain:SELECT * FROM plain]][[plain:[[lanes: UNION ALL ]]]][[lanes:SELECT * FROM limited]]
),
batch AS MATERIALIZED (
    [[many:SELECT id,
           row_number() OVER in_order AS place,
           sum(is_alone) OVER in_order AS alone
    FROM ready@guard
    WINDOW in_order AS (@in_line)]][[!many:SELECT id, 1 AS place FROM ready@guard @in_line LIMIT 1]]
)
UPDATE jobcron_job
SET @claimed,
    date_started = @now,
    channel = coalesce(channel, nullif(:channel, ''))
WHERE id IN (SELECT id FROM batch[[many: WHERE place <= :batch AND (place = 1 OR alone = 0)]])
RETURNING id, lease_token,
          [[many:(SELECT place FROM batch WHERE batch.id = jobcron_job.id)]][[!many:1]] AS place,
          [[starts:EXISTS (SELECT 1 FROM jobcron_channel AS channel
                  WHERE channel.throttle IS NOT NULL AND @within(jobcron_job.channel, channel.name))]][[!starts:0]] AS is_throttled,
          uuid, attempt_count, crash_count, max_retries, @is_bare(jobcron_job) AS is_bare,
          (julianday(date_started) - julianday(max(date_created, scheduled_start))) * 86400.0 AS waited
