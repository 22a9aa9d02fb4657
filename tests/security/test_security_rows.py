"""Hostile rows: whatever plain SQL can put into the table of jobs, before a run and under it.

The good jobs beside them always run, no run raises, and each bad row ends, or waits by its own right.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2
import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from instances import Instance
from jobcron import JobCronScript
from jobcron.settings.database_url import libpq_url
from jobcron.testing import BufferLogger

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", 100 if os.environ.get("JOBCRON_CHAOS") else 1))

GOOD, BAD = 12, 24
"""How many jobs of each kind there are in a round."""

RUNS = 4
"""How many runs more have to do."""

NUMBERS = ["0", "1", "-1", "7", "2147483647", "-2147483648", "2147483648", "9223372036854775807", "NULL"]
TEXTS = ["''", "NULL", "'%s %(x)s {0}'", "'../../etc'", "'\U0001f600'", "'a\x01b'"]
OBJECTS = ["'null'", "'[]'", "'1'", "'\"x\"'", "'{}'", "'{\"do\": 7}'", '\'{"do": [["write"]]}\'']

VALUES: dict[str, dict[str, list[str]]] = {
    "sqlite": {
        "number": [*NUMBERS, "'many'", "''", "1.5", "9e999", "x'00ff'"],
        "time": ["'yesterday'", "''", "'infinity'", "'9999-12-31 23:59:59.999999'", "0", "1e300", "x'00'", "NULL",
                 "'0000-00-00 00:00:00.000000'", "'2026-01-01T00:00:00+05:00'", "datetime('now', '+1 hour')"],
        "text": [*TEXTS, "printf('%.*c', 100000, 'x')", "CAST(x'41ff42' AS TEXT)", "x'00ff'", "7", "1.5"],
        "uuid": ["'mine'", "''", "x'00'", "7", "lower(hex(randomblob(16)))"],
        "object": [*OBJECTS, "'{'", "''", "x'ff'", "7"],
    },
    "postgresql": {
        "number": NUMBERS,
        "time": ["'infinity'", "'-infinity'", "'0044-03-15 12:00:00+00 BC'", "'294276-12-31'", "'epoch'", "NULL",
                 "now() + interval '1 hour'"],
        "text": [*TEXTS, "repeat('x', 100000)"],
        "uuid": ["gen_random_uuid()", "'00000000-0000-0000-0000-000000000000'"],
        "object": OBJECTS,
    },
}  # fmt: skip

COLUMNS = {
    "number": ["lease_token", "attempt_count", "crash_count", "max_retries", "priority", "progress", "type",
               "status"],
    "time": ["scheduled_start", "expires_at", "date_created", "date_started", "date_finished", "lease_expires"],
    "text": ["queue", "claimed_by", "requester", "unique_key", "description", "result", "log", "oops_id",
             "target_type", "target_id"],
    "uuid": ["uuid"],
    "object": ["json_data"],
}  # fmt: skip

LEFT = {
    "sqlite": "status = 0 AND julianday(scheduled_start) <= julianday('now') AND "
    "(lease_expires IS NULL OR julianday(lease_expires) <= julianday('now')) AND "
    "(expires_at IS NULL OR julianday(expires_at) > julianday('now')) "
    "OR status = 1 AND julianday(lease_expires) <= julianday('now')",
    "postgresql": "status = 0 AND scheduled_start <= now() AND "
    "(lease_expires IS NULL OR lease_expires <= now()) AND (expires_at IS NULL OR expires_at > now()) "
    "OR status = 1 AND lease_expires <= now()",
}
"""Rows that neither ended nor have a right to wait."""


class Vandal:
    """Somebody with plain SQL, who knows no rules; the database may refuse.

    Args:
        instance: whose rows are changed.
        chance: decides.
        uses_force: whether the triggers do not see it, as rows that are older than they are.

    Attributes:
        done: the statements that were accepted.
    """

    def __init__(self, instance: Instance, chance: random.Random, uses_force: bool) -> None:
        self.done: list[str] = []
        self.dialect = instance.database.dialect
        self._url = instance.url
        self._path = str(instance.database.engine.url.database)
        self._chance = chance
        self._options = "-c lock_timeout=10" + " -c session_replication_role=replica" * uses_force
        if uses_force and self.dialect == "sqlite":
            for (name,) in self.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
                self.execute(f"DROP TRIGGER {name}")

    def execute(self, statement: str) -> list[Any]:
        """Execute a statement in a connection of the driver; return its rows, none if the database refuses."""
        with closing(self._connect()) as connection:
            cursor = connection.cursor()
            with suppress(sqlite3.Error, psycopg2.Error):
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
                connection.commit()
                self.done.append(statement)
                return list(rows)
        return []

    def left(self) -> list[Any]:
        """Return the rows that neither ended nor have a right to wait."""
        of_type = "type = (SELECT id FROM jobcron_type WHERE name = 'foo_job.ACT')"
        return self.execute(f"SELECT id FROM jobcron_job WHERE ({LEFT[self.dialect]}) AND {of_type}")

    def spoil(self, number: int) -> None:
        """Write nonsense into one to three columns of a row."""
        changes = []
        for kind in self._chance.choices(list(COLUMNS), [6, 6, 4, 1, 2], k=self._chance.randint(1, 3)):
            column = self._chance.choice(COLUMNS[kind])
            changes.append(f"{column} = {self._chance.choice(VALUES[self.dialect][kind])}")
        self.execute(f"UPDATE jobcron_job SET {', '.join(changes)} WHERE id = {number}")

    def meddle(self, numbers: list[int]) -> None:
        """Delete one of the rows, or its family's, give it another number, move it, or spoil it."""
        number = self._chance.choice(numbers)
        match self._chance.randint(0, 6):
            case 0:
                self.execute(f"DELETE FROM jobcron_job WHERE id = {number}")
            case 1:
                self.execute(f"DELETE FROM foo_job WHERE job = {number}")
            case 2:
                self.execute(f"UPDATE jobcron_job SET id = id + 1000000 WHERE id = {number}")
            case 3:
                self.execute(f"UPDATE jobcron_job SET status = 4, lease_expires = NULL WHERE id = {number}")
            case _:
                self.spoil(number)

    def _connect(self) -> Any:
        if self.dialect == "sqlite":
            return sqlite3.connect(self._path, timeout=0.01)
        return psycopg2.connect(libpq_url(self._url), options=self._options)


@contextmanager
def meddling(vandal: Vandal, numbers: list[int]) -> Iterator[None]:
    """Let somebody meddle whenever a run has given a connection back."""

    def meddle(connection: object, record: object) -> None:
        vandal.meddle(numbers)

    event.listen(Pool, "checkin", meddle)
    try:
        yield
    finally:
        event.remove(Pool, "checkin", meddle)


def run(instance: Instance) -> None:
    """Run the section in this process; it has to end as it should."""
    logger = BufferLogger()
    arguments = ["act", "--config", str(instance.path)]
    script = JobCronScript(commandline_config=True, test_args=arguments, logger=logger)
    try:
        script.lock_and_run()
    except SystemExit as end:
        pytest.fail(f"the run left with status {end.code}:\n{logger.getLogBuffer()}")


@pytest.mark.timeout(20_000)
@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("uses_force", [False, True], ids=["accepted", "by force"])
def test_good_jobs_run_beside_any_rows_and_each_bad_row_ends_or_waits_by_its_own_right(
    instance: Instance, number: int, uses_force: bool
) -> None:
    seed = int(os.environ.get("JOBCRON_SEED", random.SystemRandom().randrange(1 << 32)))
    chance = random.Random(seed)
    print(f"JOBCRON_SEED={seed}")
    jobs = [instance.act(("write", "effect")) for _ in range(GOOD + BAD)]
    chance.shuffle(jobs)
    good, bad = sorted(jobs[:GOOD]), jobs[GOOD:]
    instance.database.close()
    vandal = Vandal(instance, chance, uses_force)
    for job in bad:
        vandal.spoil(job)
    try:
        with meddling(vandal, bad):
            run(instance)
        assert len(vandal.done) > BAD // 4  # the database took some of it
        for _ in range(RUNS):
            if vandal.left():
                run(instance)
        assert vandal.left() == []
        assert sorted(job for job, _, _ in instance.ledger() if job in good) == good
        numbers = ", ".join(map(str, good))
        assert set(vandal.execute(f"SELECT status FROM jobcron_job WHERE id IN ({numbers})")) == {(2,)}
    except BaseException:
        print("\n".join(vandal.done))
        raise
