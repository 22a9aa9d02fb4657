-- A takeover meets the job's keeper here. A keeper may renew at any moment, and does not lock the job's row; so the takeover,
-- which holds that row, writes the renewal's row too before it takes the job. Whoever comes second to that one row, which
-- has one primary key, sees what the first one did, also where there was no row before:
--   the keeper first    its lease is in the future, so our DO UPDATE changes nothing: no row, and the job is not taken;
--   the takeover first  the row has the greater token, so the keeper's DO UPDATE changes nothing: its lease is lost.
-- A live job is never taken over after a renewal that succeeded, and a keeper whose job was taken over learns it from its
-- next renewal. A dead job has nobody who renews, so nothing keeps this from taking it. Neither waits for long: both
-- transactions are short, and the server ends one that stops in between. Of a run that is known to be over (:is_gone) no
-- keeper is left, whatever it renewed. SQLite needs none of this: it has one writer.
INSERT INTO jobcron_renewal AS renewal (job, lease_token, lease_expires)
VALUES (:id, :token + 1, @after(:lease_seconds))
ON CONFLICT (job) DO UPDATE
SET lease_token = excluded.lease_token, lease_expires = excluded.lease_expires, progress = NULL
WHERE renewal.lease_token < excluded.lease_token - 1 OR renewal.lease_expires <= @now OR :is_gone = 1
