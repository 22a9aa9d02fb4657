-- Lock the channels that jobs of the type :type wait for, or are dead in, and those above them: claims in them come one
-- after the other, and the statement after this one sees what the claim before has taken. Without this, two claims at
-- once would count the same free place. All lock in the same order, so that none waits for another in a circle; the
-- lock is held until the claim is committed, before its jobs are loaded. A job that ends locks nothing here.
-- :channel is that of the section, whose jobs without a channel run there; else it is empty.
--
-- It returns what the claim has to heed. While a channel is locked nobody changes its limits, so these are certain:
--   held   a channel, and what it limits: see LIMITS in __init__.py
-- What waits may have changed since:
--   lane   a channel that jobs wait for
--   plain  jobs in no channel wait
--   other  jobs of other types wait in some channels, while an order is kept here; and what any channel limits, which may
--          keep those jobs from starting. It is asked in two halves, so that it is looked up in an index.
WITH RECURSIVE lane (channel) AS (
    SELECT (SELECT job.channel FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = :type AND job.channel IS NOT NULL
            ORDER BY job.channel LIMIT 1)
  UNION ALL
    SELECT (SELECT job.channel FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = :type AND job.channel IS NOT NULL AND job.channel > lane.channel
            ORDER BY job.channel LIMIT 1)
    FROM lane WHERE lane.channel IS NOT NULL
),
wanted (channel) AS MATERIALIZED (
    SELECT channel FROM lane WHERE channel IS NOT NULL
  UNION
    SELECT job.channel FROM jobcron_job AS job WHERE job.status = 1 AND job.type = :type AND job.channel IS NOT NULL
  UNION
    SELECT CAST(:channel AS text) WHERE :channel <> ''
),
held AS MATERIALIZED (
    SELECT channel.name, channel.capacity, channel.per_key, channel.throttle, channel.sequential FROM jobcron_channel AS channel
    WHERE EXISTS (SELECT 1 FROM wanted WHERE @within(wanted.channel, channel.name))
    ORDER BY channel.name
    @locked_channel
)
SELECT 'held' AS kind, name,
       capacity IS NOT NULL OR coalesce(sequential = 'channel', FALSE) AS has_caps,
       per_key IS NOT NULL AS has_keys,
       throttle IS NOT NULL AS has_starts,
       sequential IS NOT NULL AS has_turns,
       coalesce(sequential = 'channel', FALSE) AS has_halts
FROM held
  UNION ALL
SELECT 'lane', channel, FALSE, FALSE, FALSE, FALSE, FALSE FROM lane WHERE channel IS NOT NULL
  UNION ALL
SELECT 'plain', NULL, FALSE, FALSE, FALSE, FALSE, FALSE
WHERE EXISTS (SELECT 1 FROM jobcron_job AS job WHERE job.status = 0 AND job.type = :type AND job.channel IS NULL)
  UNION ALL
SELECT 'other', NULL, EXISTS (SELECT 1 FROM jobcron_channel WHERE capacity IS NOT NULL OR sequential = 'channel'),
       EXISTS (SELECT 1 FROM jobcron_channel WHERE per_key IS NOT NULL),
       EXISTS (SELECT 1 FROM jobcron_channel WHERE throttle IS NOT NULL), FALSE,
       EXISTS (SELECT 1 FROM jobcron_channel WHERE sequential = 'channel')
WHERE EXISTS (SELECT 1 FROM held WHERE sequential IS NOT NULL)
  AND (EXISTS (SELECT 1 FROM jobcron_job AS job WHERE job.status = 0 AND job.type < :type AND job.channel IS NOT NULL)
       OR EXISTS (SELECT 1 FROM jobcron_job AS job WHERE job.status = 0 AND job.type > :type AND job.channel IS NOT NULL))
