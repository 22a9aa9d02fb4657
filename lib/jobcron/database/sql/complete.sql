-- The last statement of a job's own transaction: its work and this commit together. No row: the lease is lost.
UPDATE jobcron_job
SET status = 2, date_finished = @now, lease_expires = NULL, progress = coalesce(:progress, progress),
    steps = coalesce(@json(:steps), steps)
WHERE id = :id AND lease_token = :token AND status = 1
