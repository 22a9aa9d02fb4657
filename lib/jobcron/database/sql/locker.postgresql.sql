-- Who holds the row of the job :id locked. The lock itself is in the row: xmax is the transaction that holds it, or a list
-- of several, which no lock has as its number. No row: nobody, or it cannot be told.
WITH held (xmax) AS (SELECT xmax FROM jobcron_job WHERE id = :id AND CAST(xmax AS text) <> '0')
SELECT activity.pid, activity.usename, activity.application_name, host(activity.client_addr),
       activity.xact_start, activity.state, activity.query,
       COALESCE(activity.application_name = current_setting('application_name'), FALSE) AS is_ours
FROM held
JOIN pg_locks AS locks ON locks.locktype = 'transactionid' AND locks.granted
     AND locks.pid <> pg_backend_pid() AND locks.transactionid = held.xmax
LEFT JOIN pg_stat_activity AS activity ON activity.pid = locks.pid
LIMIT 1
