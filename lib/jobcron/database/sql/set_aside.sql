-- Every end of an attempt but success, in a transaction of its own after the job's was rolled back.
-- :ended is 1 for a status at which a job's life ends, :delay is the seconds until the next attempt.
-- :uncounted is 1 where the attempt does not count (see jobcron.queue.outcome).
UPDATE jobcron_job
SET status = :status,
    date_finished = CASE :ended WHEN 1 THEN @now END,
    scheduled_start = CASE :delayed WHEN 1 THEN @after(:delay) ELSE scheduled_start END,
    lease_expires = NULL,
    claimed_by = CASE :ended WHEN 1 THEN claimed_by END,
    attempt_count = attempt_count - :uncounted,
    progress = coalesce(:progress, progress),
    log = coalesce(:log, log),
    oops_id = coalesce(:oops_id, oops_id)
WHERE id = :id AND lease_token = :token AND status = 1
