-- Lock the channels that jobs of the type :type wait for, or are dead in, and those above them: claims in them come one
-- after the other, and the statement after this one sees what the claim before has taken. Without this, two claims at
-- once would count the same free place. All lock in the same order, so that none waits for another in a circle; the
-- lock is held until the claim is committed, before its jobs are loaded. A job that ends locks nothing here.
-- :channel is that of the section, whose jobs without a channel run there; else it is empty.
WITH RECURSIVE lane (channel) AS (
    SELECT (SELECT min(job.channel) FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = :type AND job.channel IS NOT NULL)
  UNION ALL
    SELECT (SELECT min(job.channel) FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = :type AND job.channel IS NOT NULL AND job.channel > lane.channel)
    FROM lane WHERE lane.channel IS NOT NULL
),
wanted (channel) AS MATERIALIZED (
    SELECT channel FROM lane WHERE channel IS NOT NULL
  UNION
    SELECT job.channel FROM jobcron_job AS job WHERE job.status = 1 AND job.type = :type AND job.channel IS NOT NULL
  UNION
    SELECT CAST(:channel AS text) WHERE :channel <> ''
)
SELECT channel.name FROM jobcron_channel AS channel
WHERE EXISTS (SELECT 1 FROM wanted WHERE @within(wanted.channel, channel.name))
ORDER BY channel.name
FOR NO KEY UPDATE OF channel
