-- Once, and together with the hook's work: what a cancelled job had committed is dealt with, unless somebody moved the job.
-- :again is 1 where the hook is to be called again, by the next run.
UPDATE jobcron_job
SET has_committed = CASE :again WHEN 1 THEN TRUE ELSE FALSE END, lease_expires = NULL
WHERE id = :id AND lease_token = :token AND status = 5 AND has_committed
