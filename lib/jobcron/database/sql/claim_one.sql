-- Take one job that its source chose: for sources that find their ready jobs by themselves.
-- It must be due all the same, else a retry with a delay would run again at once, for ever.
UPDATE jobcron_job
SET @claimed,
    date_started = @moment
WHERE id = :id AND status = 0 AND :section NOT IN @paused_sections
  AND @can_start(jobcron_job)
RETURNING id, lease_token, 1 AS place
