-- Who holds the lock of the section :section, since when, and for how many seconds its lease lasts; or nobody.
SELECT holder, (julianday(taken) - 2440587.5) * 86400.0 AS since,
       (julianday(lease_expires) - julianday(@now)) * 86400.0 AS seconds_left
FROM jobcron_lock WHERE section = :section AND lease_expires IS NOT NULL
