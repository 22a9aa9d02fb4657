-- Who holds the lock of the section :section, since when, and for how many seconds its lease lasts; or nobody.
SELECT holder, CAST(extract(epoch FROM taken) AS double precision) AS since,
       CAST(extract(epoch FROM lease_expires - @now) AS double precision) AS seconds_left
FROM jobcron_lock WHERE section = :section AND lease_expires IS NOT NULL
