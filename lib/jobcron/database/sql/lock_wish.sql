-- The lock was not free: whoever wishes for it first gets it first.
INSERT INTO jobcron_lock_wish (section, place, wished)
SELECT :section, :place, @now
WHERE EXISTS (SELECT 1 FROM jobcron_lock WHERE section = :section AND place <> :place)
ON CONFLICT (section, place) DO NOTHING
