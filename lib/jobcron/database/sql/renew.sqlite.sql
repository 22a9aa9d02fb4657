-- The keeper's heartbeat. No row: the job is not ours any more.
UPDATE jobcron_job
SET lease_expires = @after(:lease_seconds), progress = coalesce(:progress, progress)
WHERE id = :id AND lease_token = :token AND status = 1
