-- Renew the lease of a section's lock, if it is still held under the token :token.
UPDATE jobcron_lock SET lease_expires = @after(:lease_seconds)
WHERE section = :section AND token = :token AND lease_expires IS NOT NULL
