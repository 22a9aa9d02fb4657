-- Keep a section's lock from being taken by another run until this transaction ends; no row: it is not ours any more.
-- Taking it changes the token, which is in a unique index; a renewal does not, and waits for nobody.
SELECT 1 FROM jobcron_lock WHERE section = :section AND token = :token AND lease_expires > @now
FOR KEY SHARE
