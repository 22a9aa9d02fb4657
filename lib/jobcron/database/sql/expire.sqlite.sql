-- Jobs that nobody started in time are over; one that has begun was started in time, and goes on. The partial index holds none but waiting jobs with an expiry.
-- So many at a time, and none that somebody holds, so that claims never wait for it.
UPDATE jobcron_job
SET status = 6, date_finished = @now, lease_expires = NULL
WHERE id IN (
    SELECT id FROM jobcron_job
    WHERE status = 0 AND type = :type AND expires_at IS NOT NULL AND expires_at <= @now AND begun_token = 0
    ORDER BY expires_at
    LIMIT :batch
)
RETURNING id, lease_token
