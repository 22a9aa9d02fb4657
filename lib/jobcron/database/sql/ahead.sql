-- The jobs of other types than :type that are ready and come before the waiting job :id, in the orders of its channel;
-- :channel is that of its section. Only reads.
WITH RECURSIVE @room,
own AS (
    SELECT job.id, job.priority, job.scheduled_start, job.channel_key, coalesce(job.channel, :channel) AS channel
    FROM jobcron_job AS job
    WHERE job.id = :id AND job.status = 0 AND job.id NOT IN (SELECT turn.id FROM turn)
)
SELECT leader.name, NULL AS channel_key, leader.id
FROM own JOIN leader ON @within(own.channel, leader.name)
WHERE (leader.priority, leader.scheduled_start, leader.id) < (own.priority, own.scheduled_start, own.id)
  UNION ALL
SELECT found.name, found.channel_key, found.id
FROM (SELECT rival.name, own.channel_key, @first_rival(own.channel_key, own) AS id
      FROM own CROSS JOIN rival
      WHERE rival.sequential = 'target' AND own.channel_key <> '' AND @within(own.channel, rival.name)
     ) AS found
WHERE found.id IS NOT NULL
ORDER BY 1, 3
