-- Is a section's lock still ours? The transaction has the only lock of the database.
SELECT 1 FROM jobcron_lock WHERE section = :section AND token = :token AND lease_expires > @now
