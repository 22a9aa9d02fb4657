-- Take one job in a channel, or in a section that has one, that its source chose, if there is room: see claim_one.sql and
-- claim_limited.postgresql.sql. In a sequential channel no job of any type may come before it: the source may have chosen
-- otherwise, so :type is 0.
WITH RECURSIVE @held_room
UPDATE jobcron_job
SET @claimed,
    date_started = @moment,
    channel = coalesce(channel, nullif(:channel, ''))
WHERE id = :id AND status = 0 AND :section NOT IN @paused_sections
  AND @can_start(jobcron_job)
  AND NOT EXISTS (SELECT 1 FROM shut WHERE @within(jobcron_job.channel, shut.name)
                    OR jobcron_job.channel IS NULL AND @within(:channel, shut.name))
[[keys:  AND NOT EXISTS (SELECT 1 FROM shut_key
                  WHERE shut_key.channel_key = jobcron_job.channel_key
                    AND (@within(jobcron_job.channel, shut_key.name)
                         OR jobcron_job.channel IS NULL AND @within(:channel, shut_key.name)))
]][[turns:  AND (jobcron_job.id IN (SELECT turn.id FROM turn)
       OR @has_turn(jobcron_job) AND (jobcron_job.channel IS NOT NULL OR @has_turn(:channel, jobcron_job.channel_key))
          AND @is_first(jobcron_job)
          AND (jobcron_job.channel IS NOT NULL OR @is_first(:channel, jobcron_job.channel_key, jobcron_job)))
]]RETURNING id, lease_token, 1 AS place,
          [[starts:EXISTS (SELECT 1 FROM jobcron_channel AS channel
                  WHERE channel.throttle IS NOT NULL AND @within(jobcron_job.channel, channel.name))]][[!starts:1 = 0]] AS is_throttled
