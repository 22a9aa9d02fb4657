-- How many jobs of the source :source are ready, and since when the first in line of any priority is; what is paused
-- is counted as well. One row. Of each type they are counted until :limit is reached, so that the sum is exact up to
-- that. The priorities are walked as in tick.sql, so that only ready rows are read; jobs in channels have an index of
-- their own, and are counted whether there is room or not.
WITH RECURSIVE step (type, priority, counted) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = source.type AND channel IS NULL),
           CAST(0 AS bigint)
    FROM jobcron_source AS source WHERE name = :source
  UNION ALL
    SELECT step.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step.type AND channel IS NULL
                         AND priority > step.priority),
           step.counted + CASE WHEN step.counted < :limit THEN
               (SELECT count(*) FROM (SELECT 1 FROM jobcron_job AS job
                                      WHERE job.status = 0 AND job.type = step.type AND job.channel IS NULL
                                        AND job.priority = step.priority
                                        AND @is_ready(job)
                                      ORDER BY job.scheduled_start, job.id  -- see tick.sql
                                      LIMIT :limit) AS ready)
               ELSE 0 END
    FROM step WHERE step.priority IS NOT NULL
),
line AS (
    SELECT CASE WHEN step.priority IS NULL THEN step.counted END AS ready,  -- the last step has the sum
           (SELECT CASE WHEN job.date_created > job.scheduled_start THEN job.date_created
                        ELSE job.scheduled_start END
            FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = step.type AND job.channel IS NULL
              AND job.priority = step.priority AND @is_ready(job)
            ORDER BY job.scheduled_start, job.id
            LIMIT 1) AS since
    FROM step
),
step_in (type, priority, counted) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = source.type AND channel IS NOT NULL),
           CAST(0 AS bigint)
    FROM jobcron_source AS source WHERE name = :source
  UNION ALL
    SELECT step_in.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step_in.type AND channel IS NOT NULL
                         AND priority > step_in.priority),
           step_in.counted + CASE WHEN step_in.counted < :limit THEN
               (SELECT count(*) FROM (SELECT 1 FROM jobcron_job AS job
                                      WHERE job.status = 0 AND job.type = step_in.type AND job.channel IS NOT NULL
                                        AND job.priority = step_in.priority
                                        AND @is_ready(job)
                                      ORDER BY job.scheduled_start, job.id  -- see tick.sql
                                      LIMIT :limit) AS ready)
               ELSE 0 END
    FROM step_in WHERE step_in.priority IS NOT NULL
),
line_in AS (
    SELECT CASE WHEN step_in.priority IS NULL THEN step_in.counted END AS ready,  -- the last step has the sum
           (SELECT CASE WHEN job.date_created > job.scheduled_start THEN job.date_created
                        ELSE job.scheduled_start END
            FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = step_in.type AND job.channel IS NOT NULL
              AND job.priority = step_in.priority AND @is_ready(job)
            ORDER BY job.scheduled_start, job.id
            LIMIT 1) AS since
    FROM step_in
)
SELECT coalesce(sum(ready), 0) AS ready, min(since) AS since, @now AS now
FROM (SELECT * FROM line UNION ALL SELECT * FROM line_in) AS both_lines
