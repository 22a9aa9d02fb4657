-- Release a section's lock, if it is still held under the token :token.
UPDATE jobcron_lock SET lease_expires = NULL WHERE section = :section AND token = :token
