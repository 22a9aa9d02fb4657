-- Remove the rows of the dead: those that have been silent for long, and those whose place this worker has taken.
DELETE FROM jobcron_worker
WHERE silent_after < @after(:minus_kept)
   OR silent_after < @now AND host = :host AND sections = :sections AND name <> :name
