-- The jobs of a type that are not at their end yet.
SELECT count(*) FROM jobcron_job WHERE type = :type AND status IN (0, 1, 4, 7)
