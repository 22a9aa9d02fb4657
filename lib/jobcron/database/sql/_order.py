"""Parts of statements that look for jobs in sequential channels: whose turn it is, and who comes first.

A job that has begun keeps its turn until it has ended well, or somebody passes over it. Until then no other job
begins there; nor one with the same key, where the order is kept for each key.

Nor does a job begin before one of another type that is ready, has room and comes first. Where types wait in a
channel besides the one that is looked for, they are its "rivals". Jobs of one type come in line anyway.
"""

# why: decisions 2026-12-01, a sequential channel keeps one order of all types

from __future__ import annotations

import re

_HAS_TURN = re.compile(r"@has_turn\(([\w.:]+), ([\w.:]+)(?:, (\w+))?\)")
_OF_ROW = re.compile(r"@(has_turn|is_first)\((\w+)\)")
_IS_FIRST = re.compile(r"@is_first\(([\w.:]+), ([\w.:]+), (\w+)\)")
_FIRST_RIVAL = re.compile(r"@first_rival\(([\w.:]+), (\w+)\)")
_IS_OPEN = re.compile(r"@is_open\((\w+)\)")

# Apart, so that the second is looked up by the key, and not in each of a thousand turns.
HAS_TURN = """(1 = 1[[halts:
    AND NOT EXISTS (SELECT 1 FROM halted WHERE @within({channel}, halted.name){halted})]][[turns:
    AND NOT EXISTS (SELECT 1 FROM turn
                    WHERE turn.channel_key = {key} AND @within({channel}, turn.name){turn})]])"""

_NOT_ITS_OWN = " AND ({table}.runs OR NOT {job}.holds)"

KEEPS_TURN = """{job}.channel IS NOT NULL
    AND ({job}.status = 3 OR ({job}.begun_token > 0 AND {job}.status IN (0, 4)))"""
"""What a job has that has begun and neither runs nor has ended well; the index of turns has these words too."""

_BEGUN_AT = "coalesce(job.date_finished, job.date_started, job.date_created)"

# A job of another type that is ready, comes first in an order that this one is in, and has room.
IS_FIRST = r"""(1 = 1[[mixed:[[halts:
    AND NOT EXISTS (SELECT 1 FROM leader
                    WHERE @within(\1, leader.name)
                      AND (leader.priority, leader.scheduled_start, leader.id)
                          < (\3.priority, \3.scheduled_start, \3.id))]]
    AND NOT EXISTS (SELECT 1 FROM rival
                    WHERE rival.sequential = 'target' AND \2 <> '' AND @within(\1, rival.name)
                      AND @first_rival(\2, \3) IS NOT NULL)]])"""

# A subquery, not a join, for which SQLite would read all jobs to build a filter. Nor does a rival begin in a
# channel below that keeps one order for all, while that order stands still.
FIRST_RIVAL = r"""(SELECT ahead.id FROM jobcron_job AS ahead
    WHERE ahead.status = 0 AND ahead.type = rival.type AND ahead.channel = rival.channel AND ahead.channel_key = \1
      AND @may_begin(ahead) AND @is_open(ahead)[[halts:
      AND NOT EXISTS (SELECT 1 FROM halted WHERE @within(ahead.channel, halted.name))]]
      AND (ahead.priority, ahead.scheduled_start, ahead.id) < (\2.priority, \2.scheduled_start, \2.id)
    ORDER BY ahead.priority, ahead.scheduled_start, ahead.id LIMIT 1)"""

# Also of a channel that is not locked: while the one above it that keeps an order is, none begins there.
IS_OPEN = r"""(NOT EXISTS (SELECT 1 FROM closed WHERE @within(\1.channel, closed.name))[[keys:
    AND NOT EXISTS (SELECT 1 FROM shut_key
                    WHERE shut_key.channel_key = \1.channel_key AND @within(\1.channel, shut_key.name))]])"""

ORDER = """[[turns:,
kept (channel) AS (
    SELECT (SELECT job.channel FROM jobcron_job AS job WHERE @keeps_turn ORDER BY job.channel LIMIT 1)
    WHERE EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE channel.sequential IS NOT NULL)
  UNION ALL
    SELECT (SELECT job.channel FROM jobcron_job AS job WHERE @keeps_turn AND job.channel > kept.channel
            ORDER BY job.channel LIMIT 1)
    FROM kept WHERE kept.channel IS NOT NULL
),
begun (id, channel, channel_key, at, waits, runs) AS MATERIALIZED (
    SELECT job.id, job.channel, job.channel_key, @begun_at, job.status = 0, FALSE
    FROM kept CROSS JOIN jobcron_job AS job
    WHERE EXISTS (SELECT 1 FROM jobcron_channel AS channel
                  WHERE channel.sequential IS NOT NULL AND @within(kept.channel, channel.name))
      AND job.channel BETWEEN kept.channel AND kept.channel AND @keeps_turn
  UNION ALL
    SELECT job.id, job.channel, job.channel_key, @begun_at, FALSE, (@is_dead) IS NOT TRUE
    FROM jobcron_job AS job WHERE job.status = 1 AND job.channel IS NOT NULL
),
turn (id, name, channel_key, waits, runs) AS MATERIALIZED (
    SELECT begun.id, channel.name, CASE channel.sequential WHEN 'target' THEN begun.channel_key END,
           begun.waits, begun.runs
    FROM jobcron_channel AS channel CROSS JOIN begun
    WHERE @within(begun.channel, channel.name) AND (begun.at > channel.passed_at[[!far: OR begun.runs]])
      AND (channel.sequential = 'channel' OR (channel.sequential = 'target' AND begun.channel_key <> ''))
)[[halts:,
halted (name, runs) AS MATERIALIZED (
    SELECT DISTINCT name, runs FROM turn WHERE channel_key IS NULL
)]]]][[mixed:,
@rivals[[halts:,
leader (name, priority, scheduled_start, id) AS MATERIALIZED (
    SELECT rival.name, first.priority, first.scheduled_start, first.id
    FROM (SELECT DISTINCT name, type FROM rival WHERE sequential = 'channel') AS rival
    CROSS JOIN jobcron_job AS first
    WHERE first.id = coalesce(
        (SELECT head.id
         FROM (SELECT * FROM jobcron_job AS job
               WHERE job.status = 0 AND job.type = rival.type AND job.channel IS NOT NULL
               ORDER BY job.priority, job.scheduled_start, job.id LIMIT 10) AS head
         WHERE @within(head.channel, rival.name) AND @may_begin(head) AND @is_open(head)
         ORDER BY head.priority, head.scheduled_start, head.id LIMIT 1),
        (SELECT job.id
         FROM rival AS lane CROSS JOIN jobcron_job AS job
         WHERE lane.name = rival.name AND lane.type = rival.type
           AND NOT EXISTS (SELECT 1 FROM closed WHERE @within(lane.channel, closed.name))
           AND job.status = 0 AND job.type = lane.type AND job.channel BETWEEN lane.channel AND lane.channel
           AND @may_begin(job) AND @is_open(job)
         ORDER BY job.priority + 0, job.scheduled_start, job.id LIMIT 1))
)]]]]"""
"""Tables: which jobs keep their turn, and which one of another type comes first in each channel.

The first few of a type are mostly in the channel that is asked for. Else they may be thousands of another channel,
so the channel's own are read by "lane": BETWEEN and + 0 keep the databases from reading all in line instead.
"""

RIVALS = """other (type, channel) AS (
    SELECT job.type, job.channel FROM jobcron_job AS job
    WHERE job.id = (SELECT first.id FROM jobcron_job AS first
                    WHERE first.status = 0 AND first.channel IS NOT NULL
                    ORDER BY first.type, first.channel LIMIT 1)
      AND EXISTS (SELECT 1 FROM jobcron_channel AS channel WHERE channel.sequential IS NOT NULL)
  UNION ALL
    SELECT job.type, job.channel
    FROM other JOIN jobcron_job AS job
    ON job.id = coalesce(
        (SELECT after.id FROM jobcron_job AS after
         WHERE other.type <> :type
           AND after.status = 0 AND after.type = other.type AND after.channel > other.channel
         ORDER BY after.channel LIMIT 1),
        (SELECT after.id FROM jobcron_job AS after
         WHERE after.status = 0 AND after.type > other.type AND after.channel IS NOT NULL
         ORDER BY after.type, after.channel LIMIT 1))
    @few
),
rival (name, sequential, type, channel) AS MATERIALIZED (
    SELECT channel.name, channel.sequential, other.type, other.channel
    FROM other CROSS JOIN jobcron_channel AS channel
    WHERE other.type <> :type AND other.type NOT IN @paused_types
      AND channel.sequential IS NOT NULL AND @within(other.channel, channel.name)
)"""
"""Tables: for which channels jobs of other types wait, and in which sequential channels those are.

Types are walked in the index of jobs, one by one: of their own table PostgreSQL guesses that it has hundreds.
"""

IS_ALONE = """[[turns:[[!mixed:
      AND NOT EXISTS (SELECT 1 FROM jobcron_job AS job
                      WHERE job.status = 0 AND job.type < :type AND job.channel IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM jobcron_job AS job
                      WHERE job.status = 0 AND job.type > :type AND job.channel IS NOT NULL)]]]]"""
"""Still no job of another type waits in a channel: one may have come while a claim waited for the lock."""

_HOLDS = """[[turns:[[!far:,
        job.begun_token > 0 AND job.id IN (SELECT turn.id FROM turn WHERE turn.waits) AS holds]]]]"""


def with_order(text: str) -> str:
    """Return the text of a statement with the parts for sequential channels in their places; see `_room`."""
    text = text.replace("@order", ORDER).replace("@rivals", RIVALS).replace("@is_alone", IS_ALONE)
    text = text.replace("@begun_at", _BEGUN_AT).replace("@keeps_turn", KEEPS_TURN.format(job="job"))
    text = text.replace("@holds", _HOLDS)
    text = _OF_ROW.sub(_of_row, text)
    text = _IS_FIRST.sub(IS_FIRST, _HAS_TURN.sub(_has_turn, text))
    return _IS_OPEN.sub(IS_OPEN, _FIRST_RIVAL.sub(FIRST_RIVAL, text))


def _of_row(found: re.Match[str]) -> str:
    """Return a condition of a row as one of its channel and its key."""
    condition, row = found.groups()
    own = f", {row}" if condition == "is_first" else ""
    return f"@{condition}({row}.channel, {row}.channel_key{own})"


def _has_turn(found: re.Match[str]) -> str:
    """Return the condition that a job has its turn; with a third word, a job that holds it itself has it too."""
    channel, key, job = found.groups()
    own = {table: _NOT_ITS_OWN.format(table=table, job=job) if job else "" for table in ("halted", "turn")}
    return HAS_TURN.format(channel=channel, key=key, **own)
