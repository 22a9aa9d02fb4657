-- Jobs that nobody started in time are over; one that has begun was started in time, and goes on. The partial index holds none but waiting jobs with an expiry.
-- So many at a time, and none that somebody holds, so that claims never wait for it.
-- "held" locks what waits for them in one order before the trigger does, by job: else two ends could deadlock.
WITH over AS MATERIALIZED (
    SELECT id FROM jobcron_job
    WHERE status = 0 AND type = :type AND expires_at IS NOT NULL AND expires_at <= @now AND begun_token = 0
    ORDER BY expires_at
    LIMIT :batch
    FOR NO KEY UPDATE SKIP LOCKED
),
held AS MATERIALIZED (
    SELECT waiting.id
    FROM (SELECT DISTINCT successor FROM jobcron_edge
          WHERE predecessor IN (SELECT id FROM over) ORDER BY successor) AS edge
    CROSS JOIN LATERAL (
        SELECT id FROM jobcron_job WHERE id = edge.successor AND status = 7 FOR NO KEY UPDATE
    ) AS waiting
)
UPDATE jobcron_job
SET status = 6, date_finished = @now, lease_expires = NULL
WHERE id IN (SELECT id FROM over) AND (SELECT count(*) FROM held) >= 0
RETURNING id, lease_token
