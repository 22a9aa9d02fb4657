-- Is there a cancelled job of the source :source that had committed something, and whose failure hook is to be called?
-- That of a job which is paused waits.
SELECT 1 FROM jobcron_source AS source JOIN jobcron_job AS job
ON job.status = 5 AND job.has_committed AND job.type = source.type
WHERE source.name = :source AND (job.lease_expires IS NULL OR job.lease_expires <= @now)
  AND :section NOT IN @paused_sections AND job.type NOT IN @paused_types AND job.queue NOT IN @paused_queues
LIMIT 1
