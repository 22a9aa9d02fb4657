-- Every end of an attempt but success, in a transaction of its own after the job's was rolled back.
-- :ended is 1 for a status at which a job's life ends, :delay is the seconds until the next attempt.
-- :begun is 1 where the attempt had begun: a released job had not, unless another job took its key meanwhile.
-- :cleaned_up is 1 where the failure hook has been called: what the job had committed is dealt with.
-- A delay moves the start; the one that was asked for is kept.
-- :claimant is who claimed it, if it is in doubt that the claim was committed: whoever claims after a rollback has the
-- same token. Else it is empty.
-- :uncounted is 1 where the attempt does not count (see jobcron.queue.outcome).
UPDATE jobcron_job
SET status = :status,
    date_finished = CASE :ended WHEN 1 THEN @now END,
    scheduled_start = CASE :delayed WHEN 1 THEN @after(:delay) ELSE scheduled_start END,
    asked_start = CASE :delayed WHEN 1 THEN coalesce(asked_start, scheduled_start) ELSE asked_start END,
    lease_expires = NULL,
    claimed_by = CASE :ended WHEN 1 THEN claimed_by END,
    attempt_count = CASE WHEN attempt_count > :uncounted THEN attempt_count - :uncounted ELSE 0 END,
    begun_token = CASE :begun WHEN 1 THEN lease_token ELSE begun_token END,
    has_committed = CASE :cleaned_up WHEN 1 THEN FALSE ELSE has_committed END,
    progress = coalesce(:progress, (SELECT renewal.progress FROM jobcron_renewal AS renewal
                                    WHERE renewal.job = :id AND renewal.lease_token = :token), progress),
    log = coalesce(:log, log),
    oops_id = coalesce(:oops_id, oops_id)
WHERE id = :id AND lease_token = :token AND status = 1 AND (:claimant = '' OR claimed_by = :claimant)
