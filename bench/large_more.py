"""Make what a large instance has beside jobs and runs: schedules, channels, workers, graphs, pauses, reports."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from bench.large_rows import DIALECTS, MONTH, Inserter
from jobcron import Database

SCHEDULES, SLOTS = 200, 1_000
"""How many schedules, and how many slots of each of which something was decided."""

CHANNELS, CHANNELED = 100, 50_000
"""How many channels, and how many jobs wait in them."""

WORKERS = 300

CHAIN, FAN = 10_000, 2_000
"""How many jobs of a graph wait one for the other, and how many wait for the first of them."""

PAUSES = 50

CODE = "    x = 1\n" * 40

REPORTS = 5_000
"""How many files of reports: a week of a bad application."""

ANY_SCHEDULE, ANY_REPORT = "schedule-7", "OOPS-J7-1-0a1b2c3d"
"""The names of one of the schedules, and of one of the reports."""

_SCHEDULES = """
INSERT INTO jobcron_schedule (name, origin, job, type_name, arguments, cron, time_zone, missed, missed_bound,
                              overlap, enabled, due_at, look_at, others_look_at, seen_at, last_job)
SELECT 'schedule-' || n, 'jobcron.conf', 'bench.large_application.CommonJob', 'bench.LargeJobType.COMMON', '{{}}',
       '0 3 * * *', 'Europe/Vilnius', 'run_once', 1, 'skip', {true}, {later}, {later}, {later}, {now}, n
FROM {numbers}
"""

_SLOTS = """
INSERT INTO jobcron_slot (schedule, local_time, fold, due_at, at, outcome, missed, job)
SELECT schedule.id, 'slot ' || n, 0, {ago}, {ago},
       CASE WHEN n % 50 = 0 THEN 'missed' ELSE 'created' END, n % 50 / 49,
       CASE WHEN n % 50 = 0 THEN NULL ELSE n END
FROM {numbers} CROSS JOIN jobcron_schedule AS schedule
"""

_CHANNELS = """
INSERT INTO jobcron_channel (name, capacity, per_key, throttle, period, origin, changed_by)
SELECT 'root.c' || n, n % 9, CASE WHEN n % 3 = 0 THEN 2 END, CASE WHEN n % 4 = 0 THEN 100 END,
       CASE WHEN n % 4 = 0 THEN 60.0 END, '', 'ann'
FROM {numbers}
"""

_CHANNELED = """
INSERT INTO jobcron_job (uuid, type, queue, priority, scheduled_start, channel, channel_key)
SELECT {uuid}, :common, 'default', n % 5, {due},
       'root.c' || (1 + n % 100), 'customer ' || (n % 1000) FROM {numbers}
"""

_WORKERS = """
INSERT INTO jobcron_worker (name, host, pid, version, sections, processes, most_processes, is_leaving, started,
                            seen, silent_after)
SELECT 'worker-' || n, 'host' || (n % 40), 1000 + n, '1.0', 'common rare', n % 8, 8, {false}, {long}, {now},
       {later}
FROM {numbers}
"""

_PAUSES = """
INSERT INTO jobcron_pause (scope, name, actor, reason, since)
SELECT 'queue', 'queue-' || n, 'ann', 'the carrier ' || n || ' is down', {now} FROM {numbers}
"""

_BLOCKED = """
INSERT INTO jobcron_job (uuid, type, status, queue, priority, scheduled_start)
SELECT {uuid}, :common, 7, 'default', 10, {now} FROM {numbers}
"""

_CHAIN = "INSERT INTO jobcron_edge (successor, predecessor) SELECT {above} + n + 1, {above} + n FROM {numbers}"

_FAN = "INSERT INTO jobcron_edge (successor, predecessor) SELECT {above} + n + 2, {above} FROM {numbers}"


def add_more(database: Database) -> None:
    """Make them, unless the database has them already."""
    words = {"sqlite": ("1", "0"), "postgresql": ("true", "false")}[database.dialect]
    with database.begin() as connection:
        if connection.execute(text("SELECT count(*) FROM jobcron_schedule")).scalar_one():
            return
        insert = Inserter(connection)
        insert(_SCHEDULES.replace("{true}", words[0]), SCHEDULES, later="-3600", now="60")
        insert(_SLOTS, SLOTS, ago=f"{MONTH}.0 * n / {SLOTS}")
        insert(_CHANNELS, CHANNELS)
        insert(_CHANNELED, CHANNELED, due="n % 7200 - 3600")
        insert(_WORKERS.replace("{false}", words[1]), WORKERS, long="7200", now="1", later="-86400")
        insert(_PAUSES, PAUSES, now="60")
        first = connection.execute(text("SELECT max(id) FROM jobcron_job")).scalar_one()
        insert(_BLOCKED, CHAIN + 1, now="60")
        insert(_CHAIN, CHAIN, above=first)
        insert(_FAN, FAN, above=first)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(DIALECTS[connection.dialect.name].analyze))


def first_of_graph(database: Database) -> int:
    """Return the number of the job that all of the graph waits for."""
    with database.begin(writing=False) as connection:
        found = connection.execute(text("SELECT min(predecessor) FROM jobcron_edge")).scalar_one()
    return int(found)


def uuid_of(database: Database, number: int) -> str:
    """Return the UUID of a job."""
    with database.begin(writing=False) as connection:
        found = connection.execute(text("SELECT uuid FROM jobcron_job WHERE id = :id"), {"id": number})
        return str(found.scalar_one())


def write_reports(folder: Path) -> None:
    """Write files of reports, of a week, with a dozen causes."""
    now = datetime.now(UTC)
    for number in range(REPORTS):
        at = now - timedelta(days=7 * (REPORTS - number) / REPORTS)
        name = f"OOPS-J{number}-1-0a1b2c3d"
        report = {
            "id": name, "type": "ValueError", "value": f"no map {number}",
            "time": at.isoformat(), "hostname": "host1", "reporter": "common", "duration": 1.5,
            "tb_text": f'Traceback\n  File "/srv/shop/maps.py", line {number % 12}, in draw\n{CODE}',
            "req_vars": {f"name {one}": "value " * 20 for one in range(20)},
            "timeline": [[one, one + 1, "SQL", "SELECT 1 " * 20] for one in range(50)],
        }  # fmt: skip
        day = folder / f"{at:%Y-%m-%d}"
        day.mkdir(parents=True, exist_ok=True)
        (day / name).write_text(json.dumps(report))
