-- Take over a job whose process is known to be gone, or whose lease is past: it died, or cannot renew. RUNNING stays
-- RUNNING, the greater token shuts the old runner out. One job at a time, so that a job that kills its process takes none along.
-- :begun is 1 if the attempt before had begun: only then it counts, as a death. The job begins again now, unless it has
-- died :crash_limit times: then it is only ended, and whoever dies of that is not counted.
UPDATE jobcron_job
SET date_started = @now,
    lease_expires = @after(:lease_seconds),
    lease_token = lease_token + 1,
    claimed_by = :claimed_by,
    attempt_count = CASE WHEN attempt_count < 2147483647 THEN attempt_count + :begun ELSE 2147483647 END,
    crash_count = CASE WHEN crash_count < 2147483647 THEN crash_count + :begun ELSE 2147483647 END,
    begun_token = CASE WHEN crash_count < :crash_limit - :begun THEN lease_token + 1
                       WHEN :begun = 1 THEN lease_token ELSE begun_token END,
    progress = NULL
WHERE id = :id AND lease_token = :token AND status = 1
RETURNING id, lease_token
