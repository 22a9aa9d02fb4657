-- Tell the workers that one has come, or leaves.
SELECT pg_notify('jobcron', 'worker')
