"""What the rows of workers say, and what tells that one is dead."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pytest

from instances import Instance
from jobcron import load_settings
from jobcron.operations.processes.runners import runner_states
from jobcron.operations.processes.workers import WorkerState, check_workers, worker_states
from jobcron.queue.claim import Claimant, claim_one
from jobcron.queue.health import Check, Health
from jobcron.scripts.locks.holders import family_of, new_family, new_name

HERE = os.uname().nodename

NOBODY = 4194999
"""No process has this number."""


def add_worker(
    instance: Instance,
    family: str,
    host: str = HERE,
    pid: int = 1,
    sections: str = "act do_foo",
    silence: int = 60,
) -> None:
    """Write the row of a worker, seen just now, that is silent from so many seconds on."""
    now, later = (
        ("now() - interval '70 s'", f"now() + interval '{silence} s'")
        if instance.database.dialect == "postgresql"
        else (
            "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-70 seconds')",
            f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '{silence} seconds')",
        )
    )
    instance.query(
        "INSERT INTO jobcron_worker (name, host, pid, version, sections, processes, most_processes, is_leaving, "
        "started, seen, silent_after) "
        f"VALUES (:name, :host, :pid, '0.1.0', :sections, 2, 4, :no, {now}, {now}, {later})",
        name=f"{host}:{pid}/{family}", host=host, pid=pid, sections=sections, no=False,
    )  # fmt: skip


def workers(instance: Instance) -> list[WorkerState]:
    with instance.database.begin(writing=False) as connection:
        return worker_states(connection)


def checked(instance: Instance) -> list[Check]:
    with instance.database.begin(writing=False) as connection:
        return check_workers(connection)


@pytest.mark.feature("OCQ-07")
def test_a_worker_is_shown_with_the_jobs_that_its_processes_hold(instance: Instance) -> None:
    family = new_family()
    add_worker(instance, family)
    for name in (new_name(7, family), new_name(8, family), new_name(9)):
        number = instance.act()
        with instance.session() as session:
            assert claim_one(session.connection(), number, Claimant(name, 300.0))
    (worker,) = workers(instance)
    assert (worker.host, worker.pid, worker.version, worker.sections) == (HERE, 1, "0.1.0", ("act", "do_foo"))
    assert (worker.jobs, worker.processes, worker.most_processes, worker.is_leaving) == (2, 2, 4, False)
    assert worker.death is None
    with instance.database.begin(writing=False) as connection:
        runners = runner_states(connection, load_settings(str(instance.path)))
    assert {runner.pid: runner.worker for runner in runners} == {7: f"{HERE}:1", 8: f"{HERE}:1", 9: None}


def test_a_worker_whose_process_is_gone_is_dead_at_once_and_one_elsewhere_when_it_is_silent(
    instance: Instance,
) -> None:
    add_worker(instance, "a" * 12, pid=NOBODY)
    add_worker(instance, "b" * 12, host="elsewhere", pid=NOBODY)
    add_worker(instance, "c" * 12, host="elsewhere", pid=5, silence=-1)
    deaths = {(worker.host, worker.pid): worker.death for worker in workers(instance)}
    assert deaths[HERE, NOBODY] == f"this host has no process {NOBODY}"
    assert deaths["elsewhere", NOBODY] is None
    assert str(deaths["elsewhere", 5]).startswith("no sign of life for 1 m")


def test_a_worker_whose_process_is_here_may_be_kept_from_writing_on_sqlite_alone(instance: Instance) -> None:
    add_worker(instance, "a" * 12, pid=os.getpid(), silence=-1)
    (worker,) = workers(instance)
    assert (worker.death is None) == (instance.database.dialect == "sqlite")


@pytest.mark.feature("OCQ-07")
def test_a_dead_worker_is_a_warning_until_another_one_on_its_host_runs_its_sections(instance: Instance) -> None:
    assert checked(instance) == []
    add_worker(instance, "a" * 12, pid=NOBODY)
    (check,) = checked(instance)
    assert check.health is Health.WARNING
    assert check.text == f"the worker {HERE}:{NOBODY} of act, do_foo: this host has no process {NOBODY}"
    add_worker(instance, "b" * 12, sections="act")
    add_worker(instance, "c" * 12, host="elsewhere")
    assert [check.health for check in checked(instance)] == [Health.WARNING]
    add_worker(instance, "d" * 12, sections="do_foo", pid=os.getpid())
    assert checked(instance) == [Check(Health.OK, "3 at work")]


def test_only_names_of_a_workers_processes_have_a_family() -> None:
    family = new_family()
    assert family_of(new_name(7, family)) == family
    assert [family_of(name) for name in (new_name(), "elsewhere:7", "ada@laptop.example.com", "")] == [None] * 4


def test_times_of_a_worker_are_the_databases(instance: Instance) -> None:
    add_worker(instance, "a" * 12)
    (worker,) = workers(instance)
    assert worker.since == worker.seen
    assert worker.since.utcoffset() == timedelta()


def test_prune_removes_the_rows_of_workers_that_fell_silent_a_day_ago(instance: Instance) -> None:
    add_worker(instance, "a" * 12, host="long gone", silence=-90_000)
    add_worker(instance, "b" * 12, host="gone", silence=-80_000)
    instance.command("prune")
    assert [worker.host for worker in workers(instance)] == ["gone"]


def test_workers_as_json_have_a_stable_shape(instance: Instance) -> None:
    add_worker(instance, new_family())
    (found,) = json.loads(instance.command("workers", "--json")[0])["workers"]
    assert list(found) == [
        "host", "pid", "version", "sections", "jobs", "processes", "most_processes", "is_leaving", "since", "seen",
        "death",
    ]  # fmt: skip
    assert (found["sections"], found["processes"], found["is_leaving"]) == (["act", "do_foo"], 2, False)
