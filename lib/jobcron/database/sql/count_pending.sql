-- How many jobs of a type are not at their end yet, :limit at most. The predicates are those of two partial indexes, word
-- for word, and the order is theirs, so that no row of a job that has ended is read.
SELECT count(*) FROM (
    SELECT * FROM (SELECT 1 FROM jobcron_job WHERE type = :type AND status IN (0, 4, 7)
                   ORDER BY unique_key LIMIT :limit) AS not_started
    UNION ALL
    SELECT * FROM (SELECT 1 FROM jobcron_job WHERE type = :type AND status = 1
                   ORDER BY lease_expires LIMIT :limit) AS running
    LIMIT :limit
) AS pending
