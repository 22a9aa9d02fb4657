-- How many jobs of a type are not at their end yet, :limit at most. The predicates are those of four partial indexes,
-- word for word, and the orders are theirs, so that no row of a job that has ended is read.
SELECT count(*) FROM (
    SELECT * FROM (SELECT 1 FROM jobcron_job WHERE type = :type AND status = 0 AND channel IS NULL
                   ORDER BY priority LIMIT :limit) AS free
    UNION ALL
    SELECT * FROM (SELECT 1 FROM jobcron_job WHERE type = :type AND status = 0 AND channel IS NOT NULL
                   ORDER BY priority LIMIT :limit) AS limited
    UNION ALL
    SELECT * FROM (SELECT 1 FROM jobcron_job WHERE type = :type AND status IN (4, 7)
                   ORDER BY id LIMIT :limit) AS aside
    UNION ALL
    SELECT * FROM (SELECT 1 FROM jobcron_job WHERE type = :type AND status = 1
                   ORDER BY lease_expires LIMIT :limit) AS running
    LIMIT :limit
) AS pending
