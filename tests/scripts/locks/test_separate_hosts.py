"""Several hosts on one PostgreSQL, each in a network of its own: cables cut, clocks ten minutes apart (LP-32)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

import hostapp
from hosts import row_of
from instances import Instance, wait_until
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
    gate_jobs = create(instance, tmp_path, 2, 1)
    for host in hosts:  # so that both have compiled what they need
        with started(host, "act") as run:
            run.end()
    jobs = create(instance, tmp_path, 600, 1)
    with started(hosts[0], "act") as one, started(hosts[1], "act") as other:
        one.end(), other.end()
    ran = Counter(note for job, _, note in instance.ledger() if job not in gate_jobs)
    assert sorted(job for job, _, _ in instance.ledger()) == sorted([*gate_jobs, *jobs])  # each once
    assert len(ran) == 2
    assert min(ran.values()) >= 60, ran  # a tenth: the one that begins later has fewer
