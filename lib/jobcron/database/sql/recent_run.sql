-- A run of this name within the activity interval.
SELECT 1 FROM jobcron_run WHERE name = :name AND date_started > @after(:minus_activity_interval) LIMIT 1
