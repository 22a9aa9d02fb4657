-- Take over one job whose lease is past: see reclaim.postgresql.sql.
UPDATE jobcron_job
SET date_started = @now,
    lease_expires = @after(:lease_seconds),
    lease_token = lease_token + 1,
    claimed_by = :claimed_by,
    attempt_count = attempt_count + 1,
    crash_count = crash_count + 1,
    progress = NULL
WHERE id = (
    SELECT id FROM jobcron_job
    WHERE status = 1 AND type = :type AND lease_expires <= @now
    ORDER BY priority, scheduled_start, id
    LIMIT 1
)
RETURNING id, lease_token, 1 AS place
