-- May a job of the type :type start in its channel? Asked only if tick.sql says that there are jobs in channels, or for a
-- section that has a channel itself.
--   limited  a job in a channel is ready and has room, or is dead and has room to be taken over
--   own      the section's channel has room for jobs that are in none, and no job of another type comes first there
WITH RECURSIVE @room,
@candidates
SELECT
    EXISTS (SELECT 1 FROM candidate)
    OR EXISTS (SELECT 1 FROM jobcron_job AS job
               WHERE job.status = 1 AND job.type = :type AND job.channel IS NOT NULL
                 AND :section NOT IN @paused_sections AND :type NOT IN @paused_types
                 AND job.queue NOT IN @paused_queues AND @is_dead AND @has_room(job)) AS limited,
    NOT EXISTS (SELECT 1 FROM shut WHERE @within(:channel, shut.name))
    AND NOT EXISTS (SELECT 1 FROM halted WHERE @within(:channel, halted.name))
    AND NOT EXISTS (SELECT 1 FROM leader
                    WHERE @within(:channel, leader.name)
                      AND NOT EXISTS (SELECT 1 FROM jobcron_job AS free
                                      WHERE free.status = 0 AND free.type = :type AND free.channel IS NULL
                                        AND @may_begin(free)
                                        AND (free.priority, free.scheduled_start, free.id)
                                            < (leader.priority, leader.scheduled_start, leader.id))) AS own
