"""The hand-written statements, one per file, for both databases.

A file is ``NAME.sql``, or ``NAME.postgresql.sql`` and ``NAME.sqlite.sql`` if the databases need different
statements. Two words stand for the database's clock (leases and due times never use a machine's):

``@now``
    the present time;
``@after(:seconds)``
    the time that many seconds after the present;
``@moment``
    the time at which the statement writes. On PostgreSQL a statement may have begun a little before it saw what
    others had committed.

``@room`` and ``@candidates`` are the parts that look for jobs in channels: see `_room`.

``@most_steps`` is how many priorities are looked up one by one; behind them the rest is scanned. ``@claim_on`` is
the statement ``claim``, going on where the last one ended.

``@is_bare(job)`` tells whether a row of ``job`` names nothing that code may lack, so that it need not be looked at
before the job runs.

``@json(:document)`` is a parameter that is the text of a document.

``@can_start(job)`` stands for the conditions under which a waiting job is claimed (`start_conditions`), for rows
of the table or alias ``job``, ``@is_ready(job)`` for those without the pauses. ``@paused_queues``,
``@paused_sections`` and ``@paused_types`` are what is paused now, the types by their numbers. ``@is_gone`` tells
whether the row of ``job`` was claimed by one of the names in the parameter ``:gone``, see `lines`; ``@is_dead``
whether nobody runs it any more. ``@claimed``, and ``@claimed_job`` for the alias ``job``, is what a claim writes.
``@is_current`` tells whether a statement sees all that is committed, not only what was when its transaction began.
``@locked`` locks the rows of ``job`` in PostgreSQL, but for those that others
have locked; on SQLite the transaction has the only lock. ``@held_by_gone`` is ``@is_gone`` for the holder of the
lock ``held`` of a section.

PostgreSQL's clock is `statement_timestamp()`: `now()` is the start of the transaction, which may be long ago,
and `clock_timestamp()` is volatile, so that no index helps a comparison with it.
SQLite's times are text in one fixed form, so that they compare as text; its clock has milliseconds.
"""

from __future__ import annotations

import os
import re
from functools import cache

POSTGRESQL_NOW = "statement_timestamp()"
SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"

START_CONDITIONS = {
    "is_due": "{row}.scheduled_start <= @now",
    "is_free": "({row}.lease_expires IS NULL OR {row}.lease_expires <= @now)",
    "is_in_time": "({row}.expires_at IS NULL OR {row}.expires_at > @now OR {row}.begun_token > 0)",
    "is_not_paused": "({row}.queue NOT IN @paused_queues AND {row}.type NOT IN @paused_types)",
}
"""What a waiting job needs to be claimed: the claim, and who explains it, have these from here alone."""

READY = ("is_due", "is_free", "is_in_time")
"""What a ready job has; while it is paused it is ready, but is not claimed."""

# Not correlated, so that each is read once for a statement, and plans are as without them.
_PAUSED = """(SELECT {what} FROM jobcron_pause AS pause{join}
    WHERE pause.scope = '{scope}' AND (pause.until IS NULL OR pause.until > @now))"""

PAUSED = {
    "@paused_queues": _PAUSED.format(what="pause.name", join="", scope="queue"),
    "@paused_sections": _PAUSED.format(what="pause.name", join="", scope="section"),
    "@paused_channels": _PAUSED.format(what="pause.name", join="", scope="channel"),
    "@paused_types": _PAUSED.format(
        what="paused.id", join=" JOIN jobcron_type AS paused ON paused.name = pause.name", scope="type"
    ),
}

IS_GONE = {
    "postgresql": "strpos(:gone, chr(10) || job.claimed_by || chr(10)) > 0",
    "sqlite": "(:gone <> '' AND instr(:gone, char(10) || job.claimed_by || char(10)) > 0)",
}

HELD_BY_GONE = {dialect: text.replace("job.claimed_by", "held.holder") for dialect, text in IS_GONE.items()}

IS_DEAD = """(job.lease_expires <= @now
    AND NOT EXISTS (SELECT 1 FROM jobcron_renewal AS renewal
                    WHERE renewal.job = job.id AND renewal.lease_token = job.lease_token
                      AND renewal.lease_expires > @now)
    OR @is_gone)"""

CLAIMED = """status = 1,
    date_finished = NULL,
    lease_expires = @after(:lease_seconds),
    lease_token = {row}lease_token + 1,
    claimed_by = :claimed_by,
    attempt_count = CASE WHEN {row}attempt_count < 2147483647 THEN {row}attempt_count + 1 ELSE 2147483647 END,
    begun_token = CASE WHEN {row}crash_count > 0 AND {row}crash_count < :crash_limit
                       THEN {row}lease_token + 1 ELSE {row}begun_token END,
    progress = NULL"""
"""What a claim writes to the row of a job, besides the moment."""

LOCKED = {"postgresql": "FOR NO KEY UPDATE OF job SKIP LOCKED", "sqlite": ""}

LOCKED_CHANNEL = {"postgresql": "FOR NO KEY UPDATE OF channel", "sqlite": ""}

IS_CURRENT = {
    "postgresql": "current_setting('transaction_isolation') IN ('read committed', 'read uncommitted')",
    "sqlite": "TRUE",  # the transaction has the only lock
}

LIMITS = frozenset({"caps", "keys", "starts", "turns", "halts"})
"""Parts of statements that look for jobs in channels, by the limits of these.

They limit the jobs at once, those of each key, or the starts in a period; they keep an order, or one for all jobs.
"""

JOBS = frozenset({"lanes", "plain", "many", "far", "heads", "mixed"})
"""Parts of a claim in channels, by the jobs that wait.

They wait in channels ("lanes") or in none ("plain"); some have no limit, and are claimed together ("many"); the
first in line may all be of full channels ("far"); or be locked by others, behind which an order halts ("heads").
Jobs of other types may come first in an order ("mixed").
"""

MOST_STEPS = 100
"""So many priorities are looked up one by one: more of them take longer than reading the index from there on."""

FAR = """UNION ALL
        SELECT due.*
        FROM (SELECT priority FROM step WHERE number = @most_steps) AS last CROSS JOIN LATERAL (
            SELECT id, priority, scheduled_start, crash_count
            FROM jobcron_job
            WHERE status = 0 AND type = :type AND channel IS NULL AND priority > last.priority
              AND @can_start(jobcron_job)
            ORDER BY priority, scheduled_start, id
            LIMIT :batch
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS due"""
"""What a claim from the head of the line takes beyond so many priorities."""

BEYOND = """AND (priority, scheduled_start, id)
              > (CAST(:priority AS integer), CAST(:start AS timestamptz), CAST(:last AS bigint))"""
"""Where a claim that goes on begins."""

# SQLite 3.40 finds no column NULL in RETURNING that is asked by itself.
IS_BARE = r"""(coalesce(\1.needs, \1.target_id, \1.target_mark, '') = '' AND \1.json_data = '{}')"""

JSON = {"postgresql": r"CAST(\1 AS jsonb)", "sqlite": r"\1"}

_IN_CHANNELS = re.compile(r"@(room|held_room|within)\b")
_IS_BARE = re.compile(r"@is_bare\((\w+)\)")
_JSON = re.compile(r"@json\((:\w+)\)")
_AFTER = re.compile(r"@after\((:\w+|-channel\.period)\)")
_COMMENT = re.compile(r"--[^\n]*")
_PARAMETER = re.compile(r"(?<!:):(\w+)")


@cache
def statement(name: str, dialect: str, parts: frozenset[str] | None = None) -> str:
    """Return the text of one statement, with parameters written as ``:name``.

    Args:
        name: the file's name without its extension, such as "claim".
        dialect: "postgresql" or "sqlite".
        parts: of a statement that looks for jobs in channels: the parts that it needs; None: all.
    """
    text = _stored(name, dialect)
    if _IN_CHANNELS.search(text):  # a tick spares the import
        from jobcron.database.sql._room import PARTS, with_room

        text = with_room(text, dialect, PARTS if parts is None else parts)
    if "@can_start" in text or "@is_ready" in text:  # not in the tick's: compiling an expression takes time
        for word, names in (("can_start", START_CONDITIONS.keys()), ("is_ready", READY)):
            conditions = " AND ".join(START_CONDITIONS[name] for name in names)
            text = re.sub(rf"@{word}\((\w+)\)", conditions.replace("{row}", r"\1"), text)
    text = text.replace("@claimed_job", CLAIMED.format(row="job.")).replace("@claimed", CLAIMED.format(row=""))
    text = _AFTER.sub(lambda found: after(found[1], dialect), text)
    text = _JSON.sub(JSON[dialect], text)
    text = _IS_BARE.sub(IS_BARE, text)
    text = text.replace("@is_dead", IS_DEAD).replace("@is_gone", IS_GONE[dialect])
    text = text.replace("@held_by_gone", HELD_BY_GONE[dialect])
    text = text.replace("@locked_channel", LOCKED_CHANNEL[dialect])
    text = text.replace("@locked", LOCKED[dialect]).replace("@is_current", IS_CURRENT[dialect])
    return _complete(text, dialect).strip()


@cache
def _stored(name: str, dialect: str) -> str:
    """Return the text of a statement as its files say it, without comments."""
    folder = os.path.dirname(__file__)
    path = os.path.join(folder, f"{name}.{dialect}.sql")
    if not os.path.exists(path):
        path = os.path.join(folder, f"{name}.sql")
    with open(path, encoding="utf-8") as file:
        text = _COMMENT.sub("", file.read())
    if "@claim_on" in text:
        with open(os.path.join(folder, f"claim.{dialect}.sql"), encoding="utf-8") as file:
            text = _COMMENT.sub("", file.read()).replace("@beyond", BEYOND).replace("@far", "")
    return text.replace("@beyond", "").replace("@far", FAR)


@cache
def driver_text(name: str) -> str:
    """Return the text of a statement as PostgreSQL's drivers take it: with parameters written as ``%(name)s``."""
    return _PARAMETER.sub(r"%(\1)s", " ".join(statement(name, "postgresql").split()))


def start_conditions(row: str, dialect: str) -> dict[str, str]:
    """Return the conditions under which a waiting job is claimed, as SQL, by their names.

    Args:
        row: the table of jobs, or an alias of it.
        dialect: as for `statement`.
    """
    return {name: _complete(sql.format(row=row), dialect) for name, sql in START_CONDITIONS.items()}


def _complete(text: str, dialect: str) -> str:
    text = text.replace("@most_steps", str(MOST_STEPS))
    text = text.replace("@moment", "(SELECT clock_timestamp())" if dialect == "postgresql" else "@now")
    for word, paused in PAUSED.items():
        text = text.replace(word, paused)
    return text.replace("@now", POSTGRESQL_NOW if dialect == "postgresql" else SQLITE_NOW)


def lines(names: tuple[str, ...]) -> str:
    """Return names as the parameter of ``@is_gone``: each is a line of its own."""
    return "".join(["\n", *(f"{name}\n" for name in names)]) if names else ""


def statement_names(dialect: str) -> set[str]:
    """Return the names of all statements of a dialect."""
    files = (name.split(".") for name in os.listdir(os.path.dirname(__file__)) if name.endswith(".sql"))
    return {name for name, *middle, _ in files if middle in ([], [dialect])}


def after(seconds: str, dialect: str) -> str:
    """Return the SQL for the time that is some seconds after the present.

    Args:
        seconds: the number of seconds, as SQL.
        dialect: as for `statement`.
    """
    if dialect == "postgresql":
        return f"({POSTGRESQL_NOW} + make_interval(secs => {seconds}))"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', ({seconds}) || ' seconds')"
