-- Keep a section's lock from being taken by another run until this transaction ends; no row: it is not ours any more.
SELECT 1 FROM jobcron_lock WHERE section = :section AND token = :token AND lease_expires > @now
FOR SHARE
