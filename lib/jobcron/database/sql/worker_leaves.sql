DELETE FROM jobcron_worker WHERE name = :name
