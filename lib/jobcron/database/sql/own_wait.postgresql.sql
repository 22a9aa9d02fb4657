-- Does the backend :waiting wait for the backend :holder, perhaps behind others, while that one does nothing?
WITH RECURSIVE chain (pid) AS (
    SELECT CAST(:waiting AS integer)
  UNION
    SELECT unnest(pg_blocking_pids(chain.pid)) FROM chain
)
SELECT waiting.query AS waiting, holder.query AS holding
FROM pg_stat_activity AS waiting, pg_stat_activity AS holder
WHERE waiting.pid = :waiting AND holder.pid = :holder AND holder.pid IN (SELECT pid FROM chain)
  AND holder.state LIKE 'idle in transaction%'
