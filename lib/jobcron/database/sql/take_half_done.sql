-- Take the lease of one such job, to call its hook. A lease that is past is that of a process that died of it, or was
-- stopped: a death of the job. The token is a new one: whoever had the job before can let go of it no more.
UPDATE jobcron_job
SET lease_expires = @after(:lease_seconds),
    lease_token = lease_token + 1,
    claimed_by = :claimed_by,
    crash_count = CASE WHEN lease_expires IS NULL OR crash_count >= 2147483647 THEN crash_count ELSE crash_count + 1 END
WHERE id = (
    SELECT job.id FROM jobcron_source AS source JOIN jobcron_job AS job
    ON job.status = 5 AND job.has_committed AND job.type = source.type
    WHERE source.name = :source AND (job.lease_expires IS NULL OR job.lease_expires <= @now)
      AND :section NOT IN @paused_sections AND job.type NOT IN @paused_types AND job.queue NOT IN @paused_queues
    ORDER BY job.id
    LIMIT 1
    @locked
)
RETURNING id, lease_token, crash_count
