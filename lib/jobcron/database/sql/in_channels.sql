-- Do jobs of the type :type wait in channels? A claim that leaves them alone asks, if it finds no other.
SELECT 1 FROM jobcron_job AS job
WHERE job.status = 0 AND job.type = :type AND job.channel IS NOT NULL
ORDER BY job.priority, job.scheduled_start, job.id
LIMIT 1
