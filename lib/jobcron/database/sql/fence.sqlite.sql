-- May I still commit? The transaction holds the write lock, so the answer stays true until the commit.
SELECT 1 FROM jobcron_job
WHERE id = :id AND lease_token = :token AND status = 1
