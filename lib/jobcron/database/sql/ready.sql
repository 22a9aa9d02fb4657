-- How many jobs of the source :source are ready, :limit at most for each priority, and since when the first in line of
-- any priority is; what is paused is counted as well. One row; the priorities are walked as in tick.sql, so that only
-- ready rows are read; jobs in channels have an index of their own, and are counted whether there is room or not.
WITH RECURSIVE step (type, priority) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = source.type AND channel IS NULL)
    FROM jobcron_source AS source WHERE name = :source
  UNION ALL
    SELECT step.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step.type AND channel IS NULL
                         AND priority > step.priority)
    FROM step WHERE step.priority IS NOT NULL
),
line AS (
    SELECT (SELECT count(*) FROM (SELECT 1 FROM jobcron_job AS job
                                  WHERE job.status = 0 AND job.type = step.type AND job.channel IS NULL
                                    AND job.priority = step.priority
                                    AND @is_ready(job)
                                  ORDER BY job.scheduled_start, job.id  -- see tick.sql
                                  LIMIT :limit) AS counted) AS ready,
           (SELECT CASE WHEN job.date_created > job.scheduled_start THEN job.date_created
                        ELSE job.scheduled_start END
            FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = step.type AND job.channel IS NULL
              AND job.priority = step.priority AND @is_ready(job)
            ORDER BY job.scheduled_start, job.id
            LIMIT 1) AS since
    FROM step WHERE step.priority IS NOT NULL
),
step_in (type, priority) AS (
    SELECT type, (SELECT min(priority) FROM jobcron_job WHERE status = 0 AND type = source.type AND channel IS NOT NULL)
    FROM jobcron_source AS source WHERE name = :source
  UNION ALL
    SELECT step_in.type, (SELECT min(priority) FROM jobcron_job
                       WHERE status = 0 AND type = step_in.type AND channel IS NOT NULL
                         AND priority > step_in.priority)
    FROM step_in WHERE step_in.priority IS NOT NULL
),
line_in AS (
    SELECT (SELECT count(*) FROM (SELECT 1 FROM jobcron_job AS job
                                  WHERE job.status = 0 AND job.type = step_in.type AND job.channel IS NOT NULL
                                    AND job.priority = step_in.priority
                                    AND @is_ready(job)
                                  ORDER BY job.scheduled_start, job.id  -- see tick.sql
                                  LIMIT :limit) AS counted) AS ready,
           (SELECT CASE WHEN job.date_created > job.scheduled_start THEN job.date_created
                        ELSE job.scheduled_start END
            FROM jobcron_job AS job
            WHERE job.status = 0 AND job.type = step_in.type AND job.channel IS NOT NULL
              AND job.priority = step_in.priority AND @is_ready(job)
            ORDER BY job.scheduled_start, job.id
            LIMIT 1) AS since
    FROM step_in WHERE step_in.priority IS NOT NULL
)
SELECT coalesce(sum(ready), 0) AS ready, min(since) AS since, @now AS now
FROM (SELECT * FROM line UNION ALL SELECT * FROM line_in) AS both_lines
