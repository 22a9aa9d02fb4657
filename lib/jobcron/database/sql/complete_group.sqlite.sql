-- See complete_group.postgresql.sql; :ids is the text of a JSON array.
UPDATE jobcron_job
SET status = 2, date_started = :started, date_finished = @moment, lease_expires = NULL, lease_token = lease_token + 1,
    claimed_by = :claimed_by, attempt_count = min(attempt_count, 2147483646) + 1, progress = NULL
WHERE id IN (SELECT value FROM json_each(:ids)) AND status = 0
