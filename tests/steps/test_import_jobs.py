"""Copying the jobs of django-db-queue, from its table as the migrations of its version 3.3.0 make it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from instances import Instance
from jobcron.database.connecting.engine import make_engine
from steps_jobs import look, notes

TABLES = {
    "sqlite": """CREATE TABLE "django_dbq_job" ("id" char(32) NOT NULL PRIMARY KEY, "created" datetime NOT NULL,
        "modified" datetime NOT NULL, "name" varchar(100) NOT NULL, "state" varchar(20) NOT NULL,
        "next_task" varchar(100) NOT NULL, "queue_name" varchar(20) NOT NULL, "priority" smallint NOT NULL,
        "workspace" text NULL CHECK ((JSON_VALID("workspace") OR "workspace" IS NULL)),
        "run_after" datetime NULL)""",
    "postgresql": """CREATE TABLE "django_dbq_job" ("id" uuid NOT NULL PRIMARY KEY,
        "created" timestamp with time zone NOT NULL, "modified" timestamp with time zone NOT NULL,
        "name" varchar(100) NOT NULL, "state" varchar(20) NOT NULL, "next_task" varchar(100) NOT NULL,
        "queue_name" varchar(20) NOT NULL, "priority" smallint NOT NULL, "workspace" jsonb NULL,
        "run_after" timestamp with time zone NULL)""",
}

FIRST, SECOND, THIRD = "stepsapp.first", "stepsapp.second", "stepsapp.third"


class Old:
    """A database of django-db-queue's."""

    def __init__(self, url: str, engine: Engine) -> None:
        self.url = url
        self.engine = engine
        self.count = 0
        with engine.begin() as connection:
            connection.exec_driver_sql(TABLES[engine.dialect.name])

    def add(self, state: str = "NEW", next_task: str = FIRST, name: str = "plain", **values: Any) -> str:
        """Add a row as Django writes it; return its id."""
        self.count += 1
        row = {
            "id": f"{self.count:032x}",
            "moment": f"2026-11-01 10:00:{self.count:02}.123456" + ("" if self.is_sqlite else "+00"),
            "workspace": f'{{"n": {self.count}}}',
            "queue_name": "default",
            "priority": 0,
            "run_after": None,
            **values,
        }
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO django_dbq_job VALUES (:id, :moment, :moment, :name, :state, :next_task, "
                    ":queue_name, :priority, :workspace, :run_after)"
                ),
                {**row, "name": name, "state": state, "next_task": next_task},
            )
        return str(row["id"])

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite's."""
        return self.engine.dialect.name == "sqlite"


@pytest.fixture(params=["same kind", "the other kind"])
def old(request: pytest.FixtureRequest, steps: Instance, tmp_path: Path) -> Iterator[Old]:
    """Return a database of django-db-queue's: the instance's own, or, where that is PostgreSQL, an SQLite one."""
    url = steps.url
    if request.param != "same kind":
        url = f"sqlite:///{tmp_path / 'old.db'}"
        create_engine(url).connect().close()
    engine = make_engine(url)
    yield Old(url, engine)
    engine.dispose()


def move(steps: Instance, old: Old, *options: str, expect: int = 0) -> list[str]:
    """Run the command, and return the lines of its report."""
    out, err = steps.command("import-django-db-queue", old.url, *options, expect=expect)
    assert err == ""
    return out.splitlines()


@pytest.mark.feature("DBQ-02", "DBQ-03", "DBQ-08")
def test_waiting_jobs_are_copied_once_with_all_that_they_have(steps: Instance, old: Old) -> None:
    zone = "" if old.is_sqlite else "+00"
    plain = old.add()
    ready = old.add("READY", SECOND, queue_name="cats", priority=5, run_after=f"2030-01-02 03:04:05{zone}")
    empty = old.add("NEW", FIRST, "configured", workspace=None)
    old.add("COMPLETE", "")
    old.add("FAILED", SECOND)
    expected = ["configured: 1 {}", "plain: 2 {}", "3 {}, 0 copied earlier, 2 ended and not copied"]
    assert move(steps, old, "--dry-run") == [line.format("would be copied") for line in expected]
    assert steps.rows() == []
    assert move(steps, old) == [line.format("copied") for line in expected]
    rows = {row.uuid.hex: row for row in steps.rows()}
    assert list(rows) == [plain, ready, empty]
    assert rows[ready].priority == 5
    assert rows[ready].queue_name == "cats"
    assert rows[ready].scheduled_start.isoformat() == "2030-01-02T03:04:05+00:00"
    assert rows[plain].date_created.isoformat() == "2026-11-01T10:00:01.123456+00:00"
    found = look(steps, "plain", rows[ready].id)
    assert (found["state"], found["next"], found["workspace"]) == ("READY", "second", {"n": 2})
    assert look(steps, "configured", rows[empty].id)["workspace"] == {}
    assert move(steps, old) == ["0 copied, 3 copied earlier, 2 ended and not copied"]
    steps.query("UPDATE jobcron_job SET scheduled_start = date_created")
    steps.run("plain")
    assert notes(steps, rows[plain].id) == ["first", "second", "third"]
    assert notes(steps, rows[ready].id) == ["second", "third"]  # the first was done there
    assert move(steps, old) == ["0 copied, 3 copied earlier, 2 ended and not copied"]


@pytest.mark.feature("DBQ-02")
def test_what_cannot_be_copied_is_told_and_stays(steps: Instance, old: Old) -> None:
    unknown = old.add(name="dogs")
    gone = old.add("READY", "stepsapp.gone")
    odd = old.add(workspace="[1]")
    deep = old.add(workspace="[" * 2000 + "]" * 2000)
    queue = old.add(queue_name="high priority")
    fine = old.add()
    out = move(steps, old, expect=1)
    assert out[:2] == ["plain: 1 copied", "1 copied, 0 copied earlier, 0 ended and not copied"]
    reasons = dict(zip((unknown, gone, odd, deep, queue), out[2:], strict=True))
    assert all(line.startswith("NOT COPIED: ") for line in reasons.values())
    assert reasons[unknown].endswith("no section and no class defines jobs of this name")
    assert "next task stepsapp.gone): its next task is none of theirs, which are stepsapp.first" in reasons[gone]
    assert "expected JSON at most 32 levels deep, got '[[[[" in reasons[deep]
    assert "expected queue_name to be a letter, then letters" in reasons[queue]
    assert reasons[odd].endswith("expected the workspace of plain to be a dict, got list: [1]")
    assert [row.uuid.hex for row in steps.rows()] == [fine]


@pytest.mark.feature("DBQ-02")
def test_jobs_that_a_worker_has_are_listed_and_copied_only_where_asked(steps: Instance, old: Old) -> None:
    stuck = old.add("PROCESSING", SECOND)
    out = move(steps, old)
    assert out[0] == "0 copied, 0 copied earlier, 0 ended and not copied"
    assert out[1].startswith("not copied, a worker has it: ")
    assert "plain (PROCESSING, next task stepsapp.second)" in out[1]
    assert move(steps, old, "--processing")[0] == "plain: 1 copied"
    (row,) = steps.rows()
    assert row.uuid.hex == stuck
    steps.run("plain")
    assert notes(steps, row.id) == ["second", "third"]


@pytest.mark.feature("DBQ-02")
def test_a_table_of_an_older_version_is_read_as_well(steps: Instance, old: Old) -> None:
    with old.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE django_dbq_job DROP COLUMN run_after")
        connection.exec_driver_sql("ALTER TABLE django_dbq_job DROP COLUMN priority")
        kind = "text" if old.is_sqlite else "text USING workspace::text"
        if not old.is_sqlite:
            connection.exec_driver_sql(f"ALTER TABLE django_dbq_job ALTER COLUMN workspace TYPE {kind}")
        moment = "2026-11-01 10:00:00" + ("" if old.is_sqlite else "+00")
        connection.execute(
            text(
                "INSERT INTO django_dbq_job VALUES (:id, :at, :at, 'plain', 'NEW', :task, 'default', :workspace)"
            ),
            {"id": "a" * 32, "at": moment, "task": FIRST, "workspace": '{"a": 1}'},
        )
    assert move(steps, old)[0] == "plain: 1 copied"
    (row,) = steps.rows()
    assert (row.priority, look(steps, "plain", row.id)["workspace"]) == (10, {"a": 1})


@pytest.mark.feature("DBQ-06")
@pytest.mark.parametrize(
    ("url", "message", "status"),
    [
        ("sqlite:////nowhere/at/all.db", "SOURCE_URL: expected a database, there is none", 1),
        ("nonsense", "SOURCE_URL: ", 2),
        ("postgresql://me:c4nary@localhost:1/db", "SOURCE_URL: cannot connect to the database", 1),
    ],
)
def test_a_source_that_is_not_there_is_told(steps: Instance, url: str, message: str, status: int) -> None:
    _, err = steps.command("import-django-db-queue", url, expect=status)
    assert message in err
    assert "c4nary" not in err
    assert "Traceback" not in err


@pytest.mark.feature("DBQ-06")
def test_a_database_without_the_table_is_told(steps: Instance) -> None:
    _, err = steps.command("import-django-db-queue", steps.url, expect=2)
    assert "expected the table django_dbq_job in" in err
