"""A section with ``max_workers``: one run of several processes, on PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from instances import Instance, wait_until
from jobcron import JobStatus
from metrics_files import Metrics
from runner_processes import Gate, Run, started

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\nmax_workers: 3\n"

WITHOUT_FORK = """
import errno, os, sys

def fork():
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

os.fork = fork

from jobcron.commands.main import main

sys.exit(main())
"""


@pytest.fixture
def parallel(instance: Instance) -> Instance:
    """Return an instance with a section whose runs have three processes."""
    instance.configure(sections=SECTIONS)
    return instance


def process_of(path: Path) -> int:
    """Return the process that ran the job that touched a file."""
    return int(path.read_text().split()[0])


def held_jobs(instance: Instance, gate: Gate, count: int) -> list[int]:
    """Create jobs of which each says who runs it, and waits at the gate."""
    return [instance.act(("touch", str(gate.folder / str(n))), gate.touch, gate.wait) for n in range(count)]


@on_postgresql
@pytest.mark.feature("LP-17")
def test_three_processes_run_jobs_at_once_and_their_counts_are_added_up(parallel: Instance, gate: Gate) -> None:
    jobs = held_jobs(parallel, gate, 3)
    with started(parallel, "act") as run:
        gate.reached(3)
        processes = {process_of(gate.folder / str(n)) for n in range(3)}
        assert len(processes) == 3
        assert run.process.pid not in processes
        more = [parallel.act(("write", str(n))) for n in range(20)] + [parallel.act(("raise", "value"))]
        gate.open()
        log = run.end()
    assert {parallel.row(job).status for job in jobs + more[:-1]} == {JobStatus.COMPLETED}
    assert parallel.row(more[-1]).status is JobStatus.FAILED
    assert sorted(note for _, _, note in parallel.ledger()) == sorted(str(n) for n in range(20))
    assert log.count("Ran 23 ActJob jobs.") == 1
    assert log.count("1 ActJob jobs did not complete.") == 1
    columns = "name, completed, incomplete, oopses, waited, ran"
    ((*counts, waited, ran),) = parallel.query(f"SELECT {columns} FROM jobcron_run")
    assert counts == ["act", 23, 1, 1]
    assert waited > 0
    assert ran > 0


@on_postgresql
@pytest.mark.feature("LP-17")
def test_one_signal_stops_all_of_them(parallel: Instance, gate: Gate) -> None:
    parallel.configure("grace_seconds: 0s", sections=SECTIONS)
    jobs = held_jobs(parallel, gate, 4)
    with started(parallel, "act") as run:
        gate.reached(3)
        run.signal(signal.SIGTERM)
        run.end()
    assert [parallel.row(job).status for job in jobs] == [JobStatus.WAITING] * 4
    assert [parallel.row(job).attempt_count for job in jobs] == [0] * 4
    with pytest.raises(ProcessLookupError):
        os.kill(process_of(gate.folder / "0"), 0)


@on_postgresql
@pytest.mark.feature("LP-17", "N-15")
def test_a_killed_process_is_replaced_and_its_job_runs_again_at_once(parallel: Instance, gate: Gate) -> None:
    jobs = held_jobs(parallel, gate, 2)
    with started(parallel, "act") as run:
        gate.reached(2)
        os.kill(process_of(gate.folder / "1"), signal.SIGKILL)
        gate.reached(3)
        gate.open()
        log = run.end()
    assert [parallel.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 2
    assert [parallel.row(job).crash_count for job in jobs] == [0, 1]
    assert "was killed by signal 9; what it was doing is taken over." in log


@on_postgresql
@pytest.mark.feature("LP-18")
def test_no_other_run_begins_while_one_of_them_works(parallel: Instance, gate: Gate) -> None:
    held_jobs(parallel, gate, 2)
    with started(parallel, "act") as run:
        gate.reached(2)
        run.kill()  # the others hold the lock as well
        with started(parallel, "act") as second:
            assert "is held by" in second.end(3)
        gate.open()
        wait_until(lambda: len(parallel.query("SELECT id FROM jobcron_job WHERE status = 2")) == 2, "their ends")


@on_postgresql
@pytest.mark.feature("LP-17")
def test_there_are_no_more_processes_than_ready_jobs(parallel: Instance, gate: Gate) -> None:
    held_jobs(parallel, gate, 1)
    with started(parallel, "act") as run:
        gate.reached()
        assert process_of(gate.folder / "0") == run.process.pid
        gate.open()
        assert "Ran 1 ActJob jobs." in run.end()


@on_postgresql
@pytest.mark.feature("LP-17")
def test_what_is_wrong_with_its_processes_is_the_status_of_the_run(parallel: Instance) -> None:
    sections = SECTIONS + "runner_class: erringapp.BrokenRunner\n"
    parallel.configure(sections=sections)
    for _ in range(2):
        parallel.act(("write", "x"))
    with started(parallel, "act") as run:
        log = run.end(1)
    assert log.count("Unhandled exception") == 2  # of two processes
    assert parallel.query("SELECT count(*) FROM jobcron_run") == [(0,)]


@on_postgresql
@pytest.mark.feature("LP-33")
def test_the_metrics_count_what_all_of_them_did(metrics: Metrics) -> None:
    metrics.configure(section="max_workers: 3")
    for n in range(30):
        metrics.instance.act(("sleep", 0.02), ("write", str(n)))
    Run(metrics.instance.start("act")).end()
    assert metrics.jobs("jobs_ended_total", outcome="completed") == 30


@on_postgresql
def test_where_no_process_can_be_forked_the_run_does_the_work_itself(parallel: Instance) -> None:
    jobs = [parallel.act(("write", str(n))) for n in range(2)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FORK, "run", "act"],
        env={**os.environ, "JOBCRON_CONFIG": str(parallel.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [parallel.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 2
    assert "act: no process can be started now" in done.stderr
    assert parallel.query("SELECT name, completed FROM jobcron_run") == [("act", 2)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_writes_at_a_time_on_sqlite(parallel: Instance) -> None:
    parallel.act(("write", "x"))
    with started(parallel, "act") as run:
        assert "section [act], key max_workers: expected 1 for an SQLite database" in run.end(2)
