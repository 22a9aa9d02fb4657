-- The lock was taken: the wish of this place is fulfilled, and with :insists those who had wished longer were not there.
DELETE FROM jobcron_lock_wish
WHERE section = :section
  AND (place = :place
       OR :insists = 1 AND wished < coalesce((SELECT own.wished FROM jobcron_lock_wish AS own
                                              WHERE own.section = :section AND own.place = :place), @now))
