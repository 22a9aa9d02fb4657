-- A run of this name within the activity interval; none of a clock that was ahead counts.
SELECT 1 FROM jobcron_run WHERE name = :name AND date_started > @after(:minus_activity_interval)
AND date_started <= @now LIMIT 1
