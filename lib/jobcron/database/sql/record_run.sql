INSERT INTO jobcron_run (name, hostname, date_started, date_completed, completed, incomplete, oopses,
                         waited, ran)
SELECT :name, :hostname, @after(:minus_seconds), @now, :completed, :incomplete, :oopses, :waited, :ran
WHERE :always = 1
   OR NOT EXISTS (SELECT 1 FROM jobcron_run
                  WHERE name = :name AND date_started > @after(:minus_activity_interval) AND date_started <= @now)
