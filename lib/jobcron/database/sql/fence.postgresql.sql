-- May I still commit? The lock keeps the answer true until the commit.
SELECT 1 FROM jobcron_job
WHERE id = :id AND lease_token = :token AND status = 1
FOR NO KEY UPDATE
