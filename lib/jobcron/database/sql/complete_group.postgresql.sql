-- The last statement of a group of jobs: those :ids that have run are completed, in the transaction of their work. Fewer
-- rows than :ids: one of the jobs was moved in that transaction, or deleted.
UPDATE jobcron_job
SET status = 2, date_started = :started, date_finished = @moment, lease_expires = NULL, lease_token = lease_token + 1,
    claimed_by = :claimed_by, attempt_count = LEAST(attempt_count, 2147483646) + 1, progress = NULL
WHERE id = ANY(:ids) AND status = 0
