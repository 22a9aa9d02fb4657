-- Take one job that its source chose: for sources that find their ready jobs by themselves.
-- It must be due all the same, else a retry with a delay would run again at once, for ever.
UPDATE jobcron_job
SET status = 1,
    date_started = @now,
    date_finished = NULL,
    lease_expires = @after(:lease_seconds),
    lease_token = lease_token + 1,
    claimed_by = :claimed_by,
    attempt_count = attempt_count + 1,
    progress = NULL
WHERE id = :id AND status = 0
  AND scheduled_start <= @now
  AND (lease_expires IS NULL OR lease_expires <= @now)
  AND (expires_at IS NULL OR expires_at > @now)
RETURNING id, lease_token, 1 AS place
