-- A lease taken by hand. One statement: of two that try at once, the second sees the first one's lease.
UPDATE jobcron_job
SET lease_expires = @after(:lease_seconds)
WHERE id = :id AND (lease_expires IS NULL OR lease_expires <= @now)
