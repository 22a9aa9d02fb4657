"""A run that finds nothing is over with the tick; one section looks around for its instance in an interval."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from health_checks import move
from instances import Instance
from jobcron.database.version import REVISION, VERSION_TABLE
from jobcron.scripts._telling.quiet_runs import NAME, RETRY_SECONDS, QuietRuns
from jobcron.scripts.code_stamp import COARSE_SECONDS
from jobcron.scripts.worker._lookout import Lookout
from jobcron.settings.instance import load_settings
from metrics_files import values_in
from ping_service import service
from script_runs import do_foo
from ticks import imports_of, let_it_look, set_job, shifted, took_the_full_path

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MANY = 12

CROWD = "".join(f"[crowd{n}]\nsource_interface: fooapp.ActJob\ncrontab_group: CROWD\n" for n in range(MANY))

CODE = """
from fooapp import register

with open({path!r}, "a") as file:
    file.write("imported\\n")
"""


def age(instance: Instance) -> None:
    """Let all rows of runs be so old that new ones are due."""
    for column in ("date_started", "date_completed"):
        move(instance, "jobcron_run", column, 0.3)
    instance.database.close()


def rows(instance: Instance) -> dict[str, int]:
    """Return how many rows of runs each section has."""
    return dict(instance.query("SELECT name, count(*) FROM jobcron_run GROUP BY name"))


class Crowd:
    """An instance with many sections in a group, whose application counts how often it is imported."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._imports = instance.path / "imports"
        (instance.path / "counted.py").write_text(CODE.format(path=str(self._imports)))
        self.configure()

    def configure(self, more: str = "") -> None:
        """Write the configuration."""
        self.instance.configure(more, CROWD)
        conf = self.instance.path / "jobcron.conf"
        text = conf.read_text().replace("fooapp:register", "counted:register")
        conf.write_text(text.replace("python_path: ", f"python_path: {self.instance.path} "))
        time.sleep(2 * COARSE_SECONDS)  # or the code may have changed while a run started

    def imports(self) -> int:
        """Run the group; return how many of its sections have imported the application."""
        self._imports.write_text("")
        self.instance.database.close()
        self.instance.command("process-job-sources", "CROWD")
        return self._imports.read_text().count("imported")


@pytest.fixture
def crowd(instance: Instance) -> Crowd:
    """Return such an instance, of which each section has run a moment ago."""
    crowd = Crowd(instance)
    assert crowd.imports() == MANY
    assert crowd.imports() == 0
    for _ in range(3):  # of runs at once one may have noted what another one overwrote
        age(instance)
        crowd.imports()
    return crowd


def test_many_sections_import_their_application_once_in_an_interval(crowd: Crowd) -> None:
    before = rows(crowd.instance)
    age(crowd.instance)
    assert crowd.imports() == 0
    age(crowd.instance)
    let_it_look(crowd.instance, minutes=6)
    assert crowd.imports() == 1
    assert crowd.imports() == 0
    assert rows(crowd.instance) == {name: count + 2 for name, count in before.items()}


def test_after_a_change_of_the_configuration_each_section_has_a_full_run_when_it_is_due(crowd: Crowd) -> None:
    crowd.configure("keep_runs: 30d\n")
    assert crowd.imports() == 0
    age(crowd.instance)
    assert crowd.imports() == MANY
    for _ in range(3):
        age(crowd.instance)
        last = crowd.imports()
    assert last == 0


def test_the_row_of_a_run_that_finds_nothing_costs_no_more_than_a_tick(quiet: Instance) -> None:
    age(quiet)
    before = rows(quiet)
    quiet.database.close()
    for _ in range(2):
        assert imports_of(quiet, "do_foo") == set()
    assert rows(quiet) == {**before, "do_foo": before["do_foo"] + 1}
    row = quiet.query("SELECT hostname, completed, incomplete, oopses FROM jobcron_run ORDER BY id DESC LIMIT 1")
    assert row == [(os.uname().nodename, 0, 0, 0)]


def test_the_run_whose_turn_it_is_looks_for_the_jobs_of_other_sections_as_well(quiet: Instance) -> None:
    job = quiet.act()
    set_job(quiet, job, status="1", lease_token="1", lease_expires=shifted(quiet, 6 * 3600))
    age(quiet)
    let_it_look(quiet)
    assert f"no code gives: {job}." in quiet.command("run", "do_foo")[1]
    age(quiet)
    assert "no code gives" not in quiet.command("run", "do_foo")[1]


@on_sqlite
def test_a_turn_that_is_not_taken_goes_to_another_run_a_minute_later(quiet: Instance) -> None:
    settings = load_settings(str(quiet.path))

    def may_note() -> bool:
        return QuietRuns(settings).may_note("do_foo")

    assert may_note()
    let_it_look(quiet, minutes=6)
    assert not QuietRuns(settings, takes_turns=False).may_note("do_foo")
    assert [may_note() for _ in range(2)] == [False, True]
    file = quiet.state / NAME
    looked, taken = file.stat().st_mtime, file.stat().st_atime
    assert taken > looked
    os.utime(file, (taken - RETRY_SECONDS - 1, looked))
    assert [may_note() for _ in range(2)] == [False, True]
    os.utime(file, (time.time() + 3600,) * 2)  # by a clock that was ahead
    assert [may_note() for _ in range(2)] == [False, True]
    os.utime(file, (time.time() - RETRY_SECONDS - 1, file.stat().st_mtime))
    assert [may_note() for _ in range(2)] == [False, True], "nobody has looked since"
    os.utime(file, (time.time() - 61, time.time() - 700))  # runs have had the turn for a whole interval, in vain
    assert [may_note() for _ in range(2)] == [False, False]


@pytest.mark.parametrize("is_known", [False, True])
def test_a_section_whose_full_run_fails_has_no_row(quiet: Instance, is_known: bool) -> None:
    section = "[do_foo]\nsource_interface: fooapp.DoFooJob\n"
    if is_known:
        quiet.configure(sections=section)
        quiet.run("do_foo")
    quiet.configure(sections=f"{section}runner_class: erringapp.BrokenRunner\n")
    age(quiet)
    before = rows(quiet)
    for _ in range(3):
        quiet.database.close()
        quiet.command("run", "do_foo", expect=1)
    assert rows(quiet) == before


@pytest.mark.parametrize("command", [("run", "do_foo"), ("process-job-sources", "G")])
def test_after_a_full_run_that_failed_there_is_no_row_until_one_has_ended_well(
    quiet: Instance, command: tuple[str, ...]
) -> None:
    quiet.configure(sections="[do_foo]\nsource_interface: fooapp.DoFooJob\ncrontab_group: G\n")
    age(quiet)
    quiet.command("run", "do_foo")
    age(quiet)
    assert not took_the_full_path(quiet, "do_foo")
    job = do_foo(quiet)
    oldest = quiet.query(f"SELECT oldest_code FROM {VERSION_TABLE}")[0][0]
    quiet.query(f"UPDATE {VERSION_TABLE} SET version_num = '9999', oldest_code = '9999'")
    quiet.database.close()
    quiet.command(*command, expect=1)
    set_job(quiet, job, scheduled_start=shifted(quiet, 3600))
    age(quiet)
    before = rows(quiet)
    for _ in range(2):
        quiet.database.close()
        quiet.command(*command, expect=1)
    assert rows(quiet) == before
    quiet.query(f"UPDATE {VERSION_TABLE} SET version_num = '{REVISION}', oldest_code = '{oldest}'")
    quiet.database.close()
    quiet.command(*command)
    assert rows(quiet) == {**before, "do_foo": before["do_foo"] + 1}
    age(quiet)
    assert not took_the_full_path(quiet, "do_foo")


@pytest.mark.parametrize(
    ("scope", "name", "is_told"),
    [
        ("section", "do_foo", True),
        ("type", "foo_job.DO_FOO", True),
        ("queue", "default", True),
        ("section", "act", False),
        ("type", "foo_job.ACT", False),
    ],
)
def test_runs_of_a_section_that_is_paused_say_so_once_in_an_interval(
    quiet: Instance, scope: str, name: str, is_told: bool
) -> None:
    quiet.command("pause", f"--{scope}", name)
    age(quiet)
    said = [quiet.command("run", "do_foo")[1] for _ in range(2)]
    assert [f"The {scope} {name} is paused" in text for text in said] == [is_told, False]
    assert rows(quiet)["do_foo"] == 2


@pytest.fixture
def watched(quiet: Instance, tmp_path: Path) -> Iterator[tuple[Instance, Path, list[str]]]:
    """Return an instance that writes metrics, and whose section pings."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    with service() as (url, asked):
        section = f"[do_foo]\nsource_interface: fooapp.DoFooJob\nping_url: {url}\ncrontab_group: G\n"
        quiet.configure(f"metrics_dir: {folder}\n", section)
        age(quiet)
        quiet.command("run", "do_foo")
        asked.clear()
        yield quiet, folder / "jobcron_do_foo.prom", asked


@pytest.mark.parametrize("command", [("run", "do_foo"), ("process-job-sources", "G")])
def test_a_run_that_is_over_with_the_tick_pings_and_writes_metrics(
    watched: tuple[Instance, Path, list[str]], command: tuple[str, ...]
) -> None:
    instance, metrics, asked = watched
    age(instance)
    written = metrics.stat().st_mtime_ns
    before = time.time()
    instance.command(*command)
    assert [path.partition("?")[0] for path in asked] == ["/uuid/start", "/uuid/0"]
    values = values_in(metrics)
    assert metrics.stat().st_mtime_ns > written
    assert values["jobcron_last_success_timestamp_seconds", ("section", "do_foo")] >= before - 1
    assert values["jobcron_ready_jobs", ("section", "do_foo")] == 0
    instance.command(*command)
    assert len(asked) == 2
    age(instance)
    assert not took_the_full_path(instance, "do_foo")


@on_sqlite
def test_a_row_that_cannot_be_written_because_a_job_writes_is_written_by_the_next_tick(quiet: Instance) -> None:
    age(quiet)
    before = rows(quiet)
    quiet.database.close()
    with closing(sqlite3.connect(quiet.url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not took_the_full_path(quiet, "do_foo")
        other.execute("ROLLBACK")
    assert rows(quiet) == before
    quiet.database.close()
    assert not took_the_full_path(quiet, "do_foo")
    assert rows(quiet) == {**before, "do_foo": before["do_foo"] + 1}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_row_that_the_database_refuses_leads_to_the_full_path_which_says_so(quiet: Instance) -> None:
    age(quiet)
    quiet.query("ALTER TABLE jobcron_run ADD CHECK (name <> 'do_foo') NOT VALID")
    quiet.database.close()
    assert "The row of this run could not be written" in quiet.command("run", "do_foo")[1]


def test_a_worker_writes_the_rows_of_sections_without_work_itself(quiet: Instance) -> None:
    age(quiet)
    before = rows(quiet)
    settings = load_settings(str(quiet.path))
    types = {"fooapp.IDoFooJobSource": "foo_job.DO_FOO", "fooapp.IActJobSource": "foo_job.ACT"}
    sections = [settings.section(name) for name in ("do_foo", "act")]
    with closing(Lookout(settings, types, lambda section: None)) as lookout:
        assert lookout.with_work(sections, only_looks=True) == {"do_foo", "act"}
        assert rows(quiet) == before
        quiet.database.close()
        assert lookout.with_work(sections) == set()
        assert rows(quiet) == {name: count + 1 for name, count in before.items()}
        age(quiet)
        let_it_look(quiet)
        assert len(lookout.with_work(sections)) == 1
