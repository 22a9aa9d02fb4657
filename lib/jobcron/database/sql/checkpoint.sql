-- Renew the lease in the job's own transaction, and hold the job's row until its commit: no row, the lease is lost. It
-- writes there, not to the renewal: the keeper may have changed that since this transaction began, which REPEATABLE READ
-- refuses. Of both, the one that ends later is the newer one, and counts. What is committed here is a fact of the row: the
-- job has begun, and what it did so far stays. Where a task ends, the next one has attempts and deaths of its own.
UPDATE jobcron_job
SET lease_expires = @after(:lease_seconds), begun_token = lease_token, has_committed = TRUE,
    progress = coalesce(:progress, progress), steps = coalesce(@json(:steps), steps),
    attempt_count = CASE WHEN :is_task = 1 THEN 1 ELSE attempt_count END,
    crash_count = CASE WHEN :is_task = 1 THEN 0 ELSE crash_count END
WHERE id = :id AND lease_token = :token AND status = 1
