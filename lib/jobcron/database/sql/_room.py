"""Parts of statements that look for jobs in channels: which channels have room, and which jobs may start there.

A channel has room if fewer jobs run in it and below it than its capacity allows. What runs is counted each time,
from the rows that are RUNNING under a lease that lasts: a number that is kept could be wrong after a death. Where
the starts in a period are limited, each start has a row until the period is past.

In a sequential channel, a job that has begun keeps its turn until it has ended well, or somebody passes over it.
Until then no other job begins there; nor one with the same key, where the order is kept for each key.
"""

# why: decisions 2026-11-30, the places of a channel are counted, never kept

from __future__ import annotations

import re

NEAR = 100
"""So many jobs at the front of the line are looked at one by one; then each channel and key is looked up."""

MOST_LANES = 10_000
"""So many channels and keys are looked up behind those, at most."""

_WITHIN = re.compile(r"@within\(([\w.:]+), ([\w.:]+)\)")
_HAS_ROOM = re.compile(r"@has_room\(([\w.:]+), ([\w.:]+)\)")
_HAS_TURN = re.compile(r"@has_turn\(([\w.:]+), ([\w.:]+)\)")
_OF_ROW = re.compile(r"@has_(room|turn)\((\w+)\)")

# Names are compared with a dot behind them: root.export is not within root.ex.
WITHIN = r"substr(\1 || '.', 1, length(\2) + 1) = \2 || '.'"

HAS_ROOM = r"""(NOT EXISTS (SELECT 1 FROM shut WHERE @within(\1, shut.name))
    AND NOT EXISTS (SELECT 1 FROM shut_key WHERE shut_key.channel_key = \2 AND @within(\1, shut_key.name)))"""

# Apart, so that the second is looked up by the key, and not in each of a thousand turns.
HAS_TURN = r"""(NOT EXISTS (SELECT 1 FROM halted WHERE @within(\1, halted.name))
    AND NOT EXISTS (SELECT 1 FROM turn WHERE turn.channel_key = \2 AND @within(\1, turn.name)))"""

KEEPS_TURN = """{job}.channel IS NOT NULL
    AND ({job}.status = 3 OR ({job}.begun_token > 0 AND {job}.status IN (0, 4)))"""
"""What a job has that has begun and neither runs nor has ended well; the index of turns has these words too."""

_KEY_IN_ORDER = "CASE channel.sequential WHEN 'target' THEN job.channel_key END"

_IS_IN_ORDER = """coalesce(job.date_finished, job.date_started, job.date_created) > channel.passed_at
      AND (channel.sequential = 'channel' OR (channel.sequential = 'target' AND job.channel_key <> ''))"""

ROOM = """occupied (channel, channel_key, jobs) AS MATERIALIZED (
    SELECT job.channel, job.channel_key, count(*)
    FROM jobcron_job AS job
    WHERE job.status = 1 AND job.channel IS NOT NULL AND (@is_dead) IS NOT TRUE
    GROUP BY job.channel, job.channel_key
),
shut (name) AS MATERIALIZED (
    SELECT channel.name FROM jobcron_channel AS channel
    WHERE NOT @is_held
       OR CASE WHEN channel.sequential = 'channel' AND coalesce(channel.capacity, 1) > 0 THEN 1
               ELSE channel.capacity END
          <= (SELECT coalesce(sum(occupied.jobs), 0) FROM occupied
              WHERE @within(occupied.channel, channel.name))
       OR channel.throttle <= (SELECT count(*) FROM jobcron_start AS start
                               WHERE start.at > @after(-channel.period) AND @within(start.channel, channel.name))
  UNION
    SELECT name FROM @paused_channels AS paused
),
shut_key (name, channel_key) AS MATERIALIZED (
    SELECT channel.name, occupied.channel_key
    FROM jobcron_channel AS channel JOIN occupied ON @within(occupied.channel, channel.name)
    WHERE (channel.per_key IS NOT NULL OR channel.sequential = 'target') AND occupied.channel_key <> ''
    GROUP BY channel.name, channel.per_key, channel.sequential, occupied.channel_key
    HAVING sum(occupied.jobs) >= CASE WHEN channel.sequential = 'target' THEN 1 ELSE channel.per_key END
),
kept (channel) AS (
    SELECT (SELECT min(job.channel) FROM jobcron_job AS job WHERE @keeps_turn)
    WHERE EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE channel.sequential IS NOT NULL)
  UNION ALL
    SELECT (SELECT min(job.channel) FROM jobcron_job AS job WHERE @keeps_turn AND job.channel > kept.channel)
    FROM kept WHERE kept.channel IS NOT NULL
),
busy AS MATERIALIZED (
    SELECT id, channel, channel_key, date_finished, date_started, date_created FROM jobcron_job
    WHERE status = 1 AND channel IS NOT NULL
),
turn (id, name, channel_key, waits) AS MATERIALIZED (
    SELECT job.id, channel.name, @key_in_order, job.status = 0
    FROM jobcron_channel AS channel CROSS JOIN kept CROSS JOIN jobcron_job AS job
    WHERE @within(kept.channel, channel.name) AND job.channel BETWEEN kept.channel AND kept.channel
      AND @keeps_turn AND @is_in_order
  UNION ALL
    SELECT job.id, channel.name, @key_in_order, FALSE
    FROM jobcron_channel AS channel CROSS JOIN busy AS job
    WHERE @within(job.channel, channel.name) AND @is_in_order
),
halted (name) AS MATERIALIZED (
    SELECT DISTINCT name FROM turn WHERE channel_key IS NULL
)"""
"""Tables: how many jobs run in each channel, which channels and keys have no room, which jobs keep their turn."""

_OF_TYPE = "{job}.status = 0 AND {job}.type = :type AND {job}.channel IS NOT NULL"

_NEAR = {
    "postgresql": f"""SELECT due.* FROM line CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.scheduled_start, job.channel, job.channel_key
        FROM jobcron_job AS job
        WHERE {_OF_TYPE.format(job="job")} AND job.priority = line.priority AND @can_start(job)
        ORDER BY job.scheduled_start, job.id
        LIMIT {NEAR}
    ) AS due LIMIT {NEAR}""",
    "sqlite": f"""SELECT job.id, job.priority, job.scheduled_start, job.channel, job.channel_key
    FROM line CROSS JOIN jobcron_job AS job
    WHERE {_OF_TYPE.format(job="job")} AND job.priority = line.priority AND @can_start(job)
  UNION ALL
    SELECT job.id, job.priority, job.scheduled_start, job.channel, job.channel_key
    FROM jobcron_job AS job
    WHERE {_OF_TYPE.format(job="job")} AND @can_start(job)
      AND job.priority > (SELECT line.priority FROM line WHERE line.number = @most_steps)
    LIMIT {NEAR}""",
}

_FIRST_OF_LANE = f"""FROM jobcron_job AS job
        WHERE {_OF_TYPE.format(job="job")} AND job.channel = lane.channel
          AND job.channel_key = lane.channel_key AND @can_start(job)
        ORDER BY job.priority, job.scheduled_start, job.id LIMIT 1"""

_FAR = {
    "postgresql": f"""SELECT first.* FROM lane CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.scheduled_start {_FIRST_OF_LANE}
    ) AS first WHERE @has_room(lane) AND @has_turn(lane)""",
    "sqlite": f"""SELECT first.id, first.priority, first.scheduled_start
    FROM lane CROSS JOIN jobcron_job AS first ON first.id = (SELECT job.id {_FIRST_OF_LANE})
    WHERE @has_room(lane) AND @has_turn(lane)""",
}

_CANDIDATES = f"""line (number, priority) AS (
    SELECT 1, (SELECT min(job.priority) FROM jobcron_job AS job WHERE {_OF_TYPE.format(job="job")})
    WHERE :section NOT IN @paused_sections AND :type NOT IN @paused_types
  UNION ALL
    SELECT line.number + 1, (SELECT min(job.priority) FROM jobcron_job AS job
                             WHERE {_OF_TYPE.format(job="job")} AND job.priority > line.priority)
    FROM line WHERE line.priority IS NOT NULL @steps
),
near AS MATERIALIZED (
    {{near}}
),
fitting AS MATERIALIZED (
    SELECT id, priority, scheduled_start FROM near WHERE @has_room(near) AND @has_turn(near)
),
lane (number, channel, channel_key) AS (
    SELECT 1, job.channel, job.channel_key FROM jobcron_job AS job
    WHERE job.id = (SELECT first.id FROM jobcron_job AS first WHERE {_OF_TYPE.format(job="first")}
                    ORDER BY first.channel, first.channel_key LIMIT 1)
      AND (SELECT count(*) FROM near) = {NEAR} AND NOT EXISTS (SELECT 1 FROM fitting)
  UNION ALL
    SELECT lane.number + 1, job.channel, job.channel_key
    FROM lane JOIN jobcron_job AS job
    ON job.id = coalesce(
        (SELECT after.id FROM jobcron_job AS after
         WHERE after.status = 0 AND after.type = :type AND after.channel = lane.channel
           AND after.channel_key > lane.channel_key
         ORDER BY after.channel_key LIMIT 1),
        (SELECT after.id FROM jobcron_job AS after
         WHERE after.status = 0 AND after.type = :type AND after.channel > lane.channel
         ORDER BY after.channel, after.channel_key LIMIT 1))
    WHERE lane.number < {MOST_LANES}
    @few
),
candidate AS MATERIALIZED (
    SELECT id, priority, scheduled_start FROM fitting
  UNION ALL
    {{far}}
  UNION ALL
    SELECT job.id, job.priority, job.scheduled_start
    FROM (SELECT DISTINCT id FROM turn WHERE waits LIMIT {MOST_LANES}) AS own CROSS JOIN jobcron_job AS job
    WHERE job.id = own.id AND {_OF_TYPE.format(job="job")} AND @can_start(job) AND @has_room(job)
)"""
"""The jobs of a type that may start in their channels.

"near" are the first ones in line. If none of them has room, as behind a thousand jobs of one full channel, "lane"
walks the channels and keys that jobs wait for, one index probe each, and takes the first job of each with room.
Whoever keeps its turn is looked at besides, wherever it is in line.
"""

FEW = {"postgresql": "", "sqlite": f"LIMIT {MOST_LANES}"}
STEPS = {"postgresql": "", "sqlite": "AND line.number < @most_steps LIMIT @most_steps"}
"""Tell SQLite that tables it makes are short: else it may read all jobs to build a filter for a join with them."""

IS_HELD = {
    "postgresql": "strpos(:held, chr(10) || channel.name || chr(10)) > 0",
    "sqlite": "1 = 1",
}
"""The condition that a claim has locked the row of a channel; on SQLite it holds the database's only lock."""


def with_room(text: str, dialect: str) -> str:
    """Return the text of a statement with the parts for channels in their places.

    Args:
        text: as tables of a WITH RECURSIVE it has ``@room``, or ``@held_room`` where only the channels count as
            having room that the transaction has locked; after that it may have ``@candidates``.
        dialect: "postgresql" or "sqlite".
    """
    text = text.replace("@candidates", _CANDIDATES.format(near=_NEAR[dialect], far=_FAR[dialect]))
    text = text.replace("@held_room", ROOM.replace("@is_held", IS_HELD[dialect]))
    text = text.replace("@room", ROOM.replace("@is_held", "1 = 1"))
    text = text.replace("@few", FEW[dialect]).replace("@steps", STEPS[dialect])
    text = text.replace("@key_in_order", _KEY_IN_ORDER).replace("@is_in_order", _IS_IN_ORDER)
    text = text.replace("@keeps_turn", KEEPS_TURN.format(job="job"))
    text = _OF_ROW.sub(r"@has_\1(\2.channel, \2.channel_key)", text)
    text = _HAS_TURN.sub(HAS_TURN, _HAS_ROOM.sub(HAS_ROOM, text))
    return _WITHIN.sub(WITHIN, text)
