-- The fence of a commit that takes along what a job of several tasks keeps in its row. No row: the lease is lost.
UPDATE jobcron_job SET steps = @json(:steps)
WHERE id = :id AND lease_token = :token AND status = 1
