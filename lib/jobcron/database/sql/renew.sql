-- The keeper's heartbeat: lease and progress, in a row that only jobs have that run long, or report progress. It is not
-- the job's own row: a job in REPEATABLE READ could not complete a row that the keeper has changed, and each renewal would
-- leave a dead version of a wide row with many indexes. No row: the job is not ours any more.
--
-- The job's row is only read, so this neither waits for the job's own transaction nor makes it wait. What keeps a renewal
-- and a takeover apart is the renewal's row alone: see reclaim.postgresql.sql.
INSERT INTO jobcron_renewal AS renewal (job, lease_token, lease_expires, progress)
SELECT id, lease_token, @after(:lease_seconds), CAST(:progress AS integer)
FROM jobcron_job
WHERE id = :id AND lease_token = :token AND status = 1
ON CONFLICT (job) DO UPDATE
SET lease_token = excluded.lease_token,
    lease_expires = excluded.lease_expires,
    progress = CASE WHEN renewal.lease_token = excluded.lease_token
                    THEN coalesce(excluded.progress, renewal.progress) ELSE excluded.progress END
WHERE renewal.lease_token <= excluded.lease_token
