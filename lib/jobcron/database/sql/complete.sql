-- The last statement of a job's own transaction: its work and this commit together. No row: the lease is lost.
--
-- It also tells whether the job that the run starts next is still its own, so that none begins that was cancelled after its
-- claim. A transaction that sees only what was committed before it began cannot tell.
UPDATE jobcron_job
SET status = 2, date_finished = @now, lease_expires = NULL, progress = coalesce(:progress, progress),
    steps = coalesce(@json(:steps), steps)
WHERE id = :id AND lease_token = :token AND status = 1
RETURNING CASE WHEN @is_current
               THEN EXISTS (SELECT 1 FROM jobcron_job AS next
                            WHERE next.id = :next AND next.lease_token = :next_token AND next.status = 1)
               ELSE FALSE END AS is_next_ours
