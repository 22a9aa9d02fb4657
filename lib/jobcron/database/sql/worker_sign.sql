-- A worker's sign of life: its row, made by the first one.
INSERT INTO jobcron_worker (name, host, pid, version, sections, processes, most_processes, is_leaving,
                            started, seen, silent_after)
VALUES (:name, :host, :pid, :version, :sections, :processes, :most_processes, :is_leaving = 1,
        @after(:minus_age), @now, @after(:silence))
ON CONFLICT (name) DO UPDATE
SET processes = excluded.processes, is_leaving = excluded.is_leaving,
    seen = excluded.seen, silent_after = excluded.silent_after
