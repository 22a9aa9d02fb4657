-- Jobs that nobody started in time are over. The partial index holds none but waiting jobs with an expiry.
UPDATE jobcron_job
SET status = 6, date_finished = @now, lease_expires = NULL
WHERE status = 0 AND type = :type AND expires_at IS NOT NULL AND expires_at <= @now
RETURNING id, lease_token
