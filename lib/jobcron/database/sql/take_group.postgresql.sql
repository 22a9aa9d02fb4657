-- Lock up to :batch ready jobs of one type that are in no channel: the lock is the claim, and nothing is written. What
-- the parts are for: claim.postgresql.sql, whose predicate and order these are.
--
-- Jobs with is_alone run by themselves, under a lease: their process died before; or they have a unique key, which
-- must be free once they have run, not only at the end of the group; or others wait for them, whose rows completing them
-- locks: two groups would do so in orders of their own. A row that is_bare names nothing that code may lack.
WITH RECURSIVE step (priority) AS (
    SELECT (SELECT priority FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL
            ORDER BY priority LIMIT 1)
    WHERE :section NOT IN @paused_sections AND :type NOT IN @paused_types
  UNION ALL
    SELECT (SELECT priority FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL AND priority > step.priority
            ORDER BY priority LIMIT 1)
    FROM step WHERE step.priority IS NOT NULL
),
ready AS MATERIALIZED (
    SELECT due.*
    FROM step CROSS JOIN LATERAL (
        SELECT id, uuid, priority, scheduled_start, date_created, lease_token, attempt_count, crash_count, unique_key,
               needs IS NULL AND target_mark IS NULL AND json_data = '{}' AS is_bare
        FROM jobcron_job
        WHERE status = 0 AND type = :type AND channel IS NULL AND priority = step.priority
          AND @can_start(jobcron_job)
        ORDER BY scheduled_start, id
        LIMIT :batch
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS due
    LIMIT :batch
)
SELECT id, CAST(uuid AS text) AS uuid, lease_token + 1 AS token, LEAST(attempt_count, 2147483646) + 1 AS attempts,
       crash_count > 0 OR unique_key IS NOT NULL
       OR EXISTS (SELECT 1 FROM jobcron_edge WHERE predecessor = ready.id) AS is_alone,
       CAST(EXTRACT(EPOCH FROM @now - GREATEST(date_created, scheduled_start)) AS double precision) AS waited,
       is_bare, @now AS started
FROM ready
ORDER BY priority, scheduled_start, id
