-- A claimed job waits for a process that is still starting: it has not begun, whatever happens to us until it does.
UPDATE jobcron_job SET date_started = NULL
WHERE id = :id AND lease_token = :token AND status = 1
