"""Make the rows of a large database by a few statements: ``python -m bench.large_rows URL --rows 10000000``.

Making them takes longer than measuring anything in them, so the database can be made once and measured often.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from sqlalchemy import Connection, text

from bench.large_application import LargeJobType
from jobcron import Database
from jobcron.database.upgrade import upgrade_schema
from jobcron.jobs.known_types import registered_sources, sync


@dataclass(frozen=True)
class Dialect:
    """What the databases write differently: `{n}` is a number, or an expression of one.

    Attributes:
        numbers: a table `n (n)` of the numbers from 1 to `{n}`.
        uuid: a random UUID.
        ago: the time `{n}` seconds ago; a negative number is the future.
        analyze: brings statistics and the map of visible rows up to date.
    """

    numbers: str
    uuid: str
    ago: str
    analyze: str


DIALECTS = {
    "postgresql": Dialect(
        "generate_series(1, {n}) AS n (n)",
        "gen_random_uuid()",
        "now() - interval '1 second' * ({n})",
        "VACUUM ANALYZE",
    ),
    "sqlite": Dialect(
        "(WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {n}) SELECT n FROM n) AS n",
        "lower(hex(randomblob(16)))",
        "strftime('%Y-%m-%d %H:%M:%f000', 'now', -({n}) || ' seconds')",
        "ANALYZE",
    ),
}

FINISHED = """
INSERT INTO jobcron_job (uuid, type, status, date_created, scheduled_start, date_started, date_finished,
                         lease_token, attempt_count, requester, log, oops_id, json_data)
SELECT {uuid}, CASE WHEN n % 1000 = 0 THEN :rare ELSE :common END,
       CASE WHEN n % 20 = 0 THEN 3 WHEN n % 97 = 0 THEN 5 ELSE 2 END,
       {created}, {created}, {created}, {created}, 1, 1, CASE WHEN n % 5000 = 0 THEN 'ann' END,
       CASE WHEN n % 20 = 0 THEN 'ValueError: no. ' || n END, CASE WHEN n % 20 = 0 THEN 'OOPS-L' || n END,
       '{{"metadata": {{"n": 1}}}}'
FROM {numbers}
"""
"""Nine tenths, of a month: a twentieth failed, a hundredth was cancelled."""

WAITING = """
INSERT INTO jobcron_job (uuid, type, queue, priority, scheduled_start)
SELECT {uuid}, CASE WHEN n % 1000 = 0 THEN :rare ELSE :common END,
       CASE WHEN n % 50 = 0 THEN 'mail' ELSE 'default' END, n % 5, {due}
FROM {numbers}
"""
"""A tenth: of these a half is due, and a half is due in the next day."""

RUNNING = """
INSERT INTO jobcron_job (uuid, type, status, scheduled_start, date_started, lease_expires, lease_token,
                         attempt_count, begun_token, claimed_by)
SELECT {uuid}, :common, 1, {now}, {now}, {lease}, 1, 1, 1, 'host' || (n % 9) || ':' || (1000 + n) FROM {numbers}
"""

EVENTS = """
INSERT INTO jobcron_event (job, at, actor, kind, detail, oops_id, lease_token)
SELECT id, date_finished, 'host1:1001', 'failed', log, oops_id, 1 FROM jobcron_job
WHERE status = 3 AND id > {above} ORDER BY id
"""

RUNS = """
INSERT INTO jobcron_run (name, hostname, date_started, date_completed, completed, incomplete, oopses)
SELECT CASE WHEN n % 2 = 0 THEN 'common' ELSE 'rare' END, 'host1', {ago}, {ago}, n % 7, 0, 0 FROM {numbers}
"""

ACTS = "INSERT INTO jobcron_act (at, actor, name) SELECT {ago}, 'ann', 'retry' FROM {numbers}"

UNDOS = """
INSERT INTO jobcron_undo (act, job, before, after)
SELECT 1 + id % {acts}, id, '{{"status": 3}}', '{{"status": 0}}' FROM jobcron_job WHERE status = 3
"""

CACHE_KIB = 4 << 20
"""How much memory SQLite may use to make rows: an index of random values changes its pages again and again."""

ACT_COUNT = 1000
RUNNING_COUNT = 200
MONTH = 30 * 86400


def make(database: Database, rows: int) -> None:
    """Make the tables in an empty database, with so many jobs and what belongs to them."""
    with database.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE_KIB}")
        upgrade_schema(connection, database.describe())
        sync(connection, registered_sources())
        _fill(connection, rows)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(DIALECTS[connection.dialect.name].analyze))


def catch_up(database: Database) -> None:
    """Add the jobs and the runs of the time since the newest ones, as many as there were before.

    Pages that tell of the last hour have nothing to tell of a database that was made some hours ago.
    """
    with database.begin() as connection:
        dialect = DIALECTS[connection.dialect.name]
        epoch = {"postgresql": "extract(epoch FROM {})", "sqlite": "(julianday({}) - 2440587.5) * 86400"}
        seconds = epoch[connection.dialect.name].format
        now = seconds(dialect.ago.format(n="0"))
        last, newest = connection.execute(
            text(
                f"SELECT {seconds('date_finished')}, id FROM jobcron_job WHERE status <> 7 "
                "AND date_finished IS NOT NULL ORDER BY id DESC LIMIT 1"
            )
        ).one()
        gone = float(connection.execute(text(f"SELECT {now}")).scalar_one()) - float(last)
        finished = int(newest / MONTH * gone)
        if finished > 0:
            above = connection.execute(text("SELECT max(id) FROM jobcron_job")).scalar_one()
            insert = Inserter(connection)
            insert(FINISHED, finished, created=f"{gone} * (1 - 1.0 * n / {finished})")
            insert(EVENTS, 1, above=above)
            insert(RUNS, max(2, finished // 5), ago=f"{gone} * (1 - 1.0 * n / {max(2, finished // 5)})")


class Inserter:
    """Sends statements that make rows.

    Args:
        connection: to the database.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = DIALECTS[connection.dialect.name]
        types = connection.execute(text("SELECT name, id FROM jobcron_type")).all()
        self._types = {
            kind.name.lower(): number
            for kind in LargeJobType
            for name, number in types
            if str(name).endswith(f".{kind.name}")
        }

    def __call__(self, statement: str, count: int, above: int = 0, **ages: str) -> None:
        """Make `count` rows.

        Args:
            statement: with the names in braces of `Dialect`.
            count: how many.
            above: the greatest number of a job that it leaves out.
            ages: for each other name in braces, how many seconds ago: an expression of `n`.
        """
        texts = {name: self._dialect.ago.format(n=seconds) for name, seconds in ages.items()}
        table = self._dialect.numbers.format(n=count)
        sql = statement.format(numbers=table, uuid=self._dialect.uuid, acts=ACT_COUNT, above=above, **texts)
        used = {name: number for name, number in self._types.items() if f":{name}" in sql}
        self._connection.execute(text(sql), used)


def _fill(connection: Connection, rows: int) -> None:
    insert = Inserter(connection)
    finished = max(1, rows * 9 // 10)
    waiting = max(1, rows - finished)
    insert(FINISHED, finished, created=f"{MONTH} - {MONTH - 60}.0 * n / {finished}")
    insert(WAITING, waiting, due=f"86400 * (1 - 2.0 * n / {waiting})")
    insert(RUNNING, min(RUNNING_COUNT, rows), now="60", lease="-240")
    insert(EVENTS, 1)
    insert(RUNS, max(2, rows // 5), ago=f"{MONTH}.0 * (1 - 1.0 * n / {max(2, rows // 5)})")
    insert(ACTS, ACT_COUNT, ago=f"{ACT_COUNT} - n")
    insert(UNDOS, 1)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="bench.large_rows", description=__doc__)
    parser.add_argument("url", help="the URL of an empty database")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="jobs (default: 1000000)")
    options = parser.parse_args()
    if options.rows < 1000:
        parser.error(f"expected at least 1000 rows, got: {options.rows}")
    database = Database(options.url)
    make(database, options.rows)
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
