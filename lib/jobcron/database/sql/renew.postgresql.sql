-- The keeper's heartbeat. No row: the job is not ours any more, or its own transaction has changed its row and
-- holds it locked until it commits; the keeper must not wait for that.
UPDATE jobcron_job
SET lease_expires = @after(:lease_seconds), progress = coalesce(:progress, progress)
WHERE id = (
    SELECT id FROM jobcron_job
    WHERE id = :id AND lease_token = :token AND status = 1
    FOR NO KEY UPDATE SKIP LOCKED
)
