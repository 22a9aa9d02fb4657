-- Note that a job starts, in the transaction that claims it, if its channel limits how many starts there are in a period.
INSERT INTO jobcron_start (channel, at)
SELECT job.channel, @moment
FROM jobcron_job AS job
WHERE job.id = :id AND job.lease_token = :token
  AND EXISTS (SELECT 1 FROM jobcron_channel AS channel
              WHERE channel.throttle IS NOT NULL AND @within(job.channel, channel.name))
