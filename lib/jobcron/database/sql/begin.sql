-- The process of a job that waited for one is ready: the job begins. No row: it is not ours any more.
UPDATE jobcron_job SET date_started = @now
WHERE id = :id AND lease_token = :token AND status = 1
