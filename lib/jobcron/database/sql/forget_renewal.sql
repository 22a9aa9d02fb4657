-- An attempt that renewed its lease has ended. Never while it is RUNNING: then this row is its lease.
DELETE FROM jobcron_renewal
WHERE job = :id AND lease_token = :token
  AND NOT EXISTS (SELECT 1 FROM jobcron_job WHERE id = :id AND lease_token = :token AND status = 1)
