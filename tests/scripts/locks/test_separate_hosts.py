"""Several hosts on one PostgreSQL, each in a network of its own: cables cut, clocks ten minutes apart (LP-32)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from subprocess import Popen

import pytest

import hostapp
from hosts import row_of
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.testing.server import PrivatePostgreSQL
from namespaces import SeparateHost, separate_hosts
from runner_processes import Gate, started

pytestmark = [
    pytest.mark.feature("LP-32"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]

APART = (0, 600)
"""The clock of the second host is ten minutes ahead."""

ALONE = """
[act]
source_interface: hostapp.BeatJob
lock: cluster
lock_lease: 30s
"""


@pytest.fixture
def hosts(
    request: pytest.FixtureRequest, instance: Instance, server: PrivatePostgreSQL
) -> Iterator[list[SeparateHost]]:
    """Return two hosts; the parameter is their sections."""
    with separate_hosts(instance, server, request.param, APART) as found:
        for host in found:
            path = host.path / "jobcron.conf"
            if "hostapp" in request.param:
                path.write_text(path.read_text().replace("fooapp:register", "hostapp:register"))
        yield found


def beats(folder: Path, job: int) -> list[float]:
    """Return when a job wrote that it runs, whatever process ran it."""
    return sorted(float(line) for path in folder.glob(f"beats-{job}-*") for line in path.read_text().split())


def create(instance: Instance, folder: Path, count: int, each: int) -> list[int]:
    """Commit so many jobs, which write the time so often each."""
    with instance.session() as session:
        jobs = [hostapp.BeatJob.create(folder=str(folder), beats=each, session=session) for _ in range(count)]
        session.flush()
        return [job.job.id for job in jobs]


@pytest.mark.parametrize("hosts", [ALONE], ids=["alone"], indirect=True)
def test_a_host_whose_cable_is_cut_ends_its_job_before_another_host_begins(
    instance: Instance, hosts: list[SeparateHost], tmp_path: Path
) -> None:
    here, there = hosts
    (first,) = create(instance, tmp_path, 1, 100_000)  # it would run for half an hour
    with started(here, "act") as cut:
        wait_until(lambda: beats(tmp_path, first), "the job to begin", 60)
        (second,) = create(instance, tmp_path, 1, 10)
        with started(there, "act") as other:
            assert "the lock of section act in the database is held by" in other.end(3)
        here.network.cut()

        def has_run() -> bool:
            with started(there, "act") as other:
                other.end(0, 3)
            return len(beats(tmp_path, second)) >= 10

        wait_until(has_run, "the other host to run the section", 120)
        assert beats(tmp_path, first)[-1] < beats(tmp_path, second)[0]
        token = row_of(instance).token
        here.network.mend()
        cut.process.wait(180)
        assert cut.process.returncode in (1, 3)  # without a database, or without the lock
    assert row_of(instance).token == token
    assert [job for job, _, _ in instance.ledger()] == [second]


@pytest.mark.parametrize(
    "hosts", ["[act]\nsource_interface: hostapp.BriefLeaseJob\n"], ids=["each"], indirect=True
)
def test_a_host_whose_cable_was_cut_past_the_lease_of_its_job_commits_nothing_of_it(
    instance: Instance, hosts: list[SeparateHost], tmp_path: Path
) -> None:
    here, there = hosts
    with instance.session() as session:
        job = hostapp.BriefLeaseJob.create(folder=str(tmp_path), session=session).job.id
    with started(here, "act") as cut:
        wait_until((tmp_path / "begun-1").exists, "the job to begin", 60)
        here.network.cut()
        (tmp_path / "go-2").touch()

        def has_taken_over() -> bool:
            with started(there, "act") as other:
                other.end()
            return instance.row(job).status is JobStatus.COMPLETED

        wait_until(has_taken_over, "the other host to run the job", 120)
        taken_over = instance.row(job)
        (tmp_path / "go-1").touch()
        wait_until((tmp_path / "ended-1").exists, "the first attempt to come to its commit", 60)
        here.network.mend()
        log = cut.end()
    assert f"BriefLeaseJob (ID {job}) lost its lease; nothing was committed." in log
    row = instance.row(job)
    assert (row.lease_token, row.date_finished) == (taken_over.lease_token, taken_over.date_finished)
    assert instance.ledger() == [(job, 2, "attempt 2")]


def winner(runs: list[Popen[str]], gate: Gate) -> int:
    """Return which of two runs has the lock, once the other has found it taken and left; let it go on then."""
    wait_until(lambda: any(run.poll() is not None for run in runs), "the other to leave", 60)
    found = next(number for number, run in enumerate(runs) if run.poll() is None)
    gate.open()
    logs = [run.communicate(timeout=60)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 3], logs
    return found


@pytest.mark.parametrize(
    "hosts", [ALONE.replace("hostapp.BeatJob", "fooapp.IActJobSource")], ids=["alone"], indirect=True
)
def test_hosts_with_clocks_ten_minutes_apart_take_turns(
    instance: Instance, hosts: list[SeparateHost], tmp_path: Path
) -> None:
    winners = []
    for number in range(4):
        gate = Gate(tmp_path, f"round-{number}")
        instance.act(gate.touch, gate.wait)
        runs = [host.start("act") for host in hosts]
        gate.reached()
        winners.append(winner(runs, gate))
    assert winners in ([0, 1, 0, 1], [1, 0, 1, 0])


@pytest.mark.parametrize(
    "hosts", ["[act]\nsource_interface: hostapp.BeatJob\nbatch_size: 10\n"], ids=["each"], indirect=True
)
def test_hosts_share_the_jobs_of_a_section_about_evenly(
    instance: Instance, hosts: list[SeparateHost], tmp_path: Path
) -> None:
    held_by = []
    with ExitStack() as stack:
        runs = []
        for host in hosts:  # each is in a job of its own when the others are created
            (held,) = create(instance, tmp_path, 1, 100_000)
            held_by.append(held)
            runs.append(stack.enter_context(started(host, "act")))
            wait_until(partial(beats, tmp_path, held), "the host to begin", 60)
        jobs = create(instance, tmp_path, 600, 1)
        (tmp_path / "enough").touch()
        assert [run.process.wait(180) for run in runs] == [0, 0]
    ran = Counter(note for job, _, note in instance.ledger() if job in set(jobs))
    assert sorted(job for job, _, _ in instance.ledger()) == sorted([*held_by, *jobs])  # each once
    # Half each, give or take a batch, on a machine that does nothing else. A host that gets no processor claims
    # nothing: a quarter leaves room for one that stands still for half of the time.
    assert len(ran) == 2
    assert min(ran.values()) >= 150, ran
