-- How many other workers have the same sections, and how many of these are before this one: who looks first for which job.
SELECT count(*) AS others, count(CASE WHEN other.name < :name THEN 1 END) AS before
FROM jobcron_worker AS other
WHERE other.sections = :sections AND other.name <> :name AND NOT other.is_leaving AND other.silent_after >= @now
