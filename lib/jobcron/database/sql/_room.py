"""Parts of statements that look for jobs in channels: which channels have room, and which jobs may start there.

A channel has room if fewer jobs run in it and below it than its capacity allows. What runs is counted each time,
from the rows that are RUNNING under a lease that lasts: a number that is kept could be wrong after a death. Where
the starts in a period are limited, each start has a row until the period is past. For
channels that keep an order see `_order`.
"""

# why: decisions 2026-11-30, the places of a channel are counted, never kept
# why: decisions 2026-12-01, a claim in channels asks only for the limits that it has locked

from __future__ import annotations

import re

from jobcron.database.sql import JOBS, LIMITS
from jobcron.database.sql._order import with_order

NEAR = 100
"""So many jobs at the front of the line are looked at one by one; then each channel and key is looked up."""

MOST_LANES = 10_000
"""So many channels and keys are looked up behind those, at most."""

PARTS = LIMITS | JOBS
"""What a statement may leave out where it is not needed: planning it takes longer than executing it.

In its text ``[[part: …]]`` is there with the part, and ``[[!part: …]]`` without it.
"""

_WITHIN = re.compile(r"@within\(([\w.:]+), ([\w.:]+)\)")
_HAS_ROOM = re.compile(r"@has_room\(([\w.:]+), ([\w.:]+)\)")
_ROOM_OF_ROW = re.compile(r"@has_room\((\w+)\)")
_MAY_BEGIN = re.compile(r"@may_begin\((\w+)\)")
_PART = re.compile(r"\[\[(!?)(\w+):((?:(?!\[\[|\]\]).)*)\]\]", re.DOTALL)

PAUSED = {
    "@paused_queues": "(SELECT paused.name FROM paused WHERE paused.scope = 'queue')",
    "@paused_sections": "(SELECT paused.name FROM paused WHERE paused.scope = 'section')",
    "@paused_types": """(SELECT kind.id FROM paused JOIN jobcron_type AS kind ON kind.name = paused.name
        WHERE paused.scope = 'type')""",
}
"""What is paused, read once for the statement: a subquery of its own for each condition takes long to plan."""

# Names are compared with a dot behind them: root.export is not within root.ex.
WITHIN = r"substr(\1 || '.', 1, length(\2) + 1) = \2 || '.'"

HAS_ROOM = r"""(NOT EXISTS (SELECT 1 FROM shut WHERE @within(\1, shut.name))[[keys:
    AND NOT EXISTS (SELECT 1 FROM shut_key WHERE shut_key.channel_key = \2 AND @within(\1, shut_key.name))]])"""

ROOM = """paused (scope, name) AS MATERIALIZED (
    SELECT pause.scope, pause.name FROM jobcron_pause AS pause WHERE pause.until IS NULL OR pause.until > @now
),
occupied (channel, [[keys:channel_key, ]]jobs) AS MATERIALIZED (
    SELECT job.channel, [[keys:job.channel_key, ]]count(*)
    FROM jobcron_job AS job
    WHERE job.status = 1 AND job.channel IS NOT NULL AND (@is_dead) IS NOT TRUE
    GROUP BY job.channel[[keys:, job.channel_key]]
),
closed (name) AS MATERIALIZED (
    SELECT channel.name FROM jobcron_channel AS channel
    WHERE 1 = 0[[caps:
       OR CASE WHEN channel.capacity IS NULL AND coalesce(channel.sequential, '') <> 'channel' THEN 1 = 0
               ELSE CASE WHEN channel.sequential = 'channel' AND coalesce(channel.capacity, 1) > 0 THEN 1
                         ELSE channel.capacity END
                    <= (SELECT coalesce(sum(occupied.jobs), 0) FROM occupied
                        WHERE @within(occupied.channel, channel.name)) END]][[starts:
       OR channel.throttle <= (SELECT count(*) FROM jobcron_start AS start
                               WHERE start.at > @after(-channel.period) AND @within(start.channel, channel.name))]]
  UNION ALL
    SELECT name FROM paused WHERE scope = 'channel'
),
shut (name) AS MATERIALIZED (
    SELECT name FROM closed
  UNION ALL
    SELECT channel.name FROM jobcron_channel AS channel WHERE NOT @is_held
)[[keys:,
shut_key (name, channel_key) AS MATERIALIZED (
    SELECT channel.name, occupied.channel_key
    FROM jobcron_channel AS channel JOIN occupied ON @within(occupied.channel, channel.name)
    WHERE (channel.per_key IS NOT NULL OR channel.sequential = 'target') AND occupied.channel_key <> ''
    GROUP BY channel.name, channel.per_key, channel.sequential, occupied.channel_key
    HAVING sum(occupied.jobs) >= CASE WHEN channel.sequential = 'target' THEN 1 ELSE channel.per_key END
)]]@order"""
"""Tables: how many jobs run in each channel, which channels and keys have no room, which jobs keep their turn."""

_OF_TYPE = "{job}.status = 0 AND {job}.type = :type AND {job}.channel IS NOT NULL"

_NEAR = {
    "postgresql": f"""SELECT due.* FROM line CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.scheduled_start, job.channel, job.channel_key@holds
        FROM jobcron_job AS job
        WHERE {_OF_TYPE.format(job="job")} AND job.priority = line.priority AND @may_begin(job)
        ORDER BY job.scheduled_start, job.id
        LIMIT {NEAR}
    ) AS due LIMIT {NEAR}""",
    "sqlite": f"""SELECT job.id, job.priority, job.scheduled_start, job.channel, job.channel_key@holds
    FROM line CROSS JOIN jobcron_job AS job
    WHERE {_OF_TYPE.format(job="job")} AND job.priority = line.priority AND @may_begin(job)
  UNION ALL
    SELECT job.id, job.priority, job.scheduled_start, job.channel, job.channel_key@holds
    FROM jobcron_job AS job
    WHERE {_OF_TYPE.format(job="job")} AND @may_begin(job)
      AND job.priority > (SELECT line.priority FROM line WHERE line.number = @most_steps)
    LIMIT {NEAR}""",
}

_FIRST_OF_LANE = f"""FROM jobcron_job AS job
        WHERE {_OF_TYPE.format(job="job")} AND job.channel = lane.channel
          AND job.channel_key = lane.channel_key AND @may_begin(job)
        ORDER BY job.priority, job.scheduled_start, job.id LIMIT 1"""

_FAR = {
    "postgresql": f"""SELECT first.* FROM lane CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.scheduled_start, job.channel, job.channel_key {_FIRST_OF_LANE}
    ) AS first WHERE @has_room(lane) AND @has_turn(lane) AND @is_first(first)""",
    "sqlite": f"""SELECT first.id, first.priority, first.scheduled_start, first.channel, first.channel_key
    FROM lane CROSS JOIN jobcron_job AS first ON first.id = (SELECT job.id {_FIRST_OF_LANE})
    WHERE @has_room(lane) AND @has_turn(lane) AND @is_first(first)""",
}

# On PostgreSQL the first in line are looked at when all are sorted: see claim_limited.postgresql.sql.
_COMES_FIRST = {
    "postgresql": "[[mixed:[[far: AND @is_first(near)]]]]",
    "sqlite": "[[mixed: AND ([[!far:near.holds OR ]]@is_first(near))]]",
}

_CANDIDATES = f"""line (number, priority) AS (
    SELECT 1, (SELECT job.priority FROM jobcron_job AS job WHERE {_OF_TYPE.format(job="job")}
               ORDER BY job.priority LIMIT 1)
    WHERE :section NOT IN @paused_sections AND :type NOT IN @paused_types@is_alone
  UNION ALL
    SELECT line.number + 1, (SELECT job.priority FROM jobcron_job AS job
                             WHERE {_OF_TYPE.format(job="job")} AND job.priority > line.priority
                             ORDER BY job.priority LIMIT 1)
    FROM line WHERE line.priority IS NOT NULL @steps
),
near AS [[far:MATERIALIZED ]][[guard:MATERIALIZED ]](
    {{near}}
),
fitting AS [[far:MATERIALIZED ]][[guard:MATERIALIZED ]](
    SELECT id, priority, scheduled_start, channel, channel_key FROM near
    WHERE @has_room(near)
      AND [[far:@has_turn(near)]][[!far:@has_turn(near.channel, near.channel_key, near)]]{{comes_first}}
),[[far:
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
),]]
candidate AS [[far:MATERIALIZED ]](
    SELECT id, priority, scheduled_start, channel, channel_key FROM fitting[[far:
  UNION ALL
    {{far}}[[turns:
  UNION ALL
    SELECT job.id, job.priority, job.scheduled_start, job.channel, job.channel_key
    FROM (SELECT DISTINCT id FROM turn WHERE waits LIMIT {MOST_LANES}) AS own CROSS JOIN jobcron_job AS job
    WHERE job.id = own.id AND {_OF_TYPE.format(job="job")} AND @may_begin(job) AND @has_room(job)
      AND :section NOT IN @paused_sections AND :type NOT IN @paused_types]]]]
)"""
"""The jobs of a type that may start in their channels.

"near" are the first ones in line. If none of them has room, as behind a thousand jobs of one full channel, "lane"
walks the channels and keys that jobs wait for, one index probe each, and takes the first job of each with room.
Whoever keeps its turn is looked at besides, wherever it is in line.
"""

_GUARD = f"""[[guard:
    WHERE EXISTS (SELECT 1 FROM fitting) OR NOT EXISTS (SELECT 1 FROM near LIMIT 1 OFFSET {NEAR - 1})]]"""
"""Without "lane", jobs in no channel are not taken while a better one may be behind those that are near."""

FEW = {"postgresql": "", "sqlite": f"LIMIT {MOST_LANES}"}
STEPS = {"postgresql": "", "sqlite": "AND line.number < @most_steps LIMIT @most_steps"}
"""Tell SQLite that tables it makes are short: else it may read all jobs to build a filter for a join with them."""

IS_HELD = {
    "postgresql": "strpos(:held, chr(10) || channel.name || chr(10)) > 0",
    "sqlite": "instr(:held, char(10) || channel.name || char(10)) > 0",
}
"""The condition that a claim has locked the row of a channel, and so knows what it limits."""


def with_room(text: str, dialect: str, parts: frozenset[str]) -> str:
    """Return the text of a statement with the parts for channels in their places.

    Args:
        text: as tables of a WITH RECURSIVE it has ``@room``, or ``@held_room`` where only the channels count as
            having room that the transaction has locked; after that it may have ``@candidates``.
        dialect: "postgresql" or "sqlite".
        parts: some of `PARTS`: those that the statement needs.
    """
    has_paused = "@room" in text or "@held_room" in text
    parts_of = {"near": _NEAR[dialect], "far": _FAR[dialect], "comes_first": _COMES_FIRST[dialect]}
    text = text.replace("@candidates", _CANDIDATES.format(**parts_of))
    text = text.replace("@held_room", ROOM.replace("@is_held", IS_HELD[dialect]))
    text = text.replace("@room", ROOM.replace("@is_held", "1 = 1"))
    text = with_order(text).replace("@is_held", IS_HELD[dialect])
    text = text.replace("@few", FEW[dialect]).replace("@steps", STEPS[dialect])
    text = _MAY_BEGIN.sub(r"@is_ready(\1) AND \1.queue NOT IN @paused_queues", text)
    if has_paused:
        for word, paused in PAUSED.items():
            text = text.replace(word, paused)
    text = text.replace("@guard", _GUARD).replace("@near", str(NEAR))
    text = text.replace("@in_line", "ORDER BY priority, scheduled_start, id")
    text = _HAS_ROOM.sub(HAS_ROOM, _ROOM_OF_ROW.sub(r"@has_room(\1.channel, \1.channel_key)", text))
    return _only(_WITHIN.sub(WITHIN, text), _with_needed(parts))


def _with_needed(parts: frozenset[str]) -> frozenset[str]:
    """Return parts with those that they need besides, and without those that mean nothing without others."""
    if "turns" not in parts:
        parts -= {"mixed"}
    if parts & {"lanes", "turns"}:
        parts |= {"locks"}
    if {"lanes", "plain"} <= parts and "far" not in parts:
        parts |= {"guard"}
    if "turns" in parts and ("far" in parts or not parts & {"lanes", "plain"}):
        parts |= {"keys"}  # else the turns themselves say which keys are occupied
    return parts


def _only(text: str, parts: frozenset[str]) -> str:
    """Return a text with ``[[part: …]]`` where it has the part, and ``[[!part: …]]`` where it does not."""
    while _PART.search(text):
        text = _PART.sub(lambda part: part[3] if (part[2] in parts) != bool(part[1]) else "", text)
    return text
