-- The progress that a job of a group has told, after complete_group.
UPDATE jobcron_job SET progress = :progress WHERE id = :id
