-- Take the lock of the section :section, for the run :holder of the place :place; one row if it was free.
-- It is free if nobody has taken it, if it was released, if its lease has ended, or if its holder is one of those in
-- :gone, of which the caller knows that they are over. Who has wished for it longer goes first, unless :insists is 1.
INSERT INTO jobcron_lock AS held (section, token, holder, place, taken, lease_expires)
SELECT :section, 1, :holder, :place, @now, @after(:lease_seconds)
WHERE :insists = 1
   OR NOT EXISTS (SELECT 1 FROM jobcron_lock_wish AS other
                  WHERE other.section = :section AND other.place <> :place
                    AND other.wished < coalesce((SELECT own.wished FROM jobcron_lock_wish AS own
                                                 WHERE own.section = :section AND own.place = :place), @now))
ON CONFLICT (section) DO UPDATE
SET token = held.token + 1, holder = excluded.holder, place = excluded.place, taken = excluded.taken,
    lease_expires = excluded.lease_expires
WHERE held.lease_expires IS NULL OR held.lease_expires <= @now OR @held_by_gone
RETURNING token
