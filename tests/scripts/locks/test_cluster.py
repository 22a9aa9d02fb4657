"""One run of a section at a time on all hosts, by a leased row in the database (LP-32)."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from hosts import end_lease, holding, hosts_of, row_of, wait_for_lease_end
from instances import Instance, wait_until
from jobcron import JobStatus, LockHeld, load_settings
from jobcron.queue.tick import Unanswered
from jobcron.scripts.locks.cluster import SectionLock, WorkersLock, fetcher
from jobcron.scripts.locks.lock import RunLock
from runner_processes import Gate, started
from worker_processes import eventually, is_completed, worker


@pytest.mark.feature("LP-32")
@pytest.mark.both_drivers
def test_a_run_on_another_host_says_who_has_the_lock_and_leaves_with_status_3(
    instance: Instance, gate: Gate
) -> None:
    with hosts_of(instance) as (here, there):
        jobs = [here.act(gate.touch, gate.wait), here.act(("write", "second"))]
        with holding(here, gate) as run:
            with started(there, "act") as other:
                log = other.end(3)
            assert "WARNING " in log
            pid, host = run.process.pid, socket.gethostname()
            expected = f"the lock of section act in the database is held by process {pid} on {host} since "
            assert expected in log
            gate.open()
            assert "Ran 2 ActJob jobs." in run.end()
        with started(there, "act") as other:
            assert other.end() == ""  # released: there is nothing left to do
        assert [here.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 2


def test_a_run_that_finds_nothing_to_do_does_not_ask_for_the_lock(instance: Instance, gate: Gate) -> None:
    with hosts_of(instance) as (here, there):
        with started(there, "act") as first:  # from now on a look is enough
            first.end()
        here.act(gate.touch, gate.wait)
        with holding(here, gate) as run:
            before = row_of(here)
            with started(there, "act") as other:
                other.end()
            assert row_of(here) == before
            gate.open()
            run.end()


def test_the_next_run_of_a_host_takes_over_at_once_from_one_that_was_killed(
    instance: Instance, gate: Gate
) -> None:
    with hosts_of(instance, lease="1h") as (here, there):
        job = here.act(gate.touch, gate.wait)
        with holding(here, gate) as run:
            run.kill()
        token = row_of(here).token
        with started(there, "act") as other:
            assert "is held by" in other.end(3)  # it cannot know that its holder is dead
        gate.open()
        with started(here, "act") as again:
            again.end()
        assert here.row(job).status is JobStatus.COMPLETED
        assert row_of(here).token == token + 1


@pytest.mark.parametrize("lock_class", [SectionLock, WorkersLock])
def test_a_lock_that_was_taken_without_an_answer_is_taken_over_by_the_host_s_next_run_at_once(
    instance: Instance, lock_class: type[SectionLock]
) -> None:
    with hosts_of(instance, lease="1h") as (here, _):
        settings = load_settings(str(here.path))
        section, fetch = settings.section("act"), fetcher(settings, None)

        def lossy(name: str, parameters: dict[str, object]) -> tuple[object, ...] | None:
            row = fetch(name, parameters)
            if name == "lock_take":
                raise Unanswered("no answer")
            return row

        for answering, is_had in ((lossy, False), (fetch, True)):
            lock = lock_class(settings, section, "the locks", answering)
            lock.acquire()
            if lock_class is SectionLock:
                lock.take_lease()
            assert (lock.lease is not None, lock.trouble is None) == (is_had, is_had)
            lock.release()
    assert row_of(instance).token == 2


def test_a_lock_for_which_others_go_first_leaves_no_name_among_the_dead(instance: Instance) -> None:
    with hosts_of(instance, lease="1h") as (here, _):
        settings = load_settings(str(here.path))
        here.query("INSERT INTO jobcron_lock_wish (section, place, wished) VALUES ('act', 'elsewhere', :then)",
                   then="2000-01-01 00:00:00.000000")  # fmt: skip
        lock = WorkersLock(settings, settings.section("act"), "the locks", fetcher(settings, None))
        for _ in range(3):
            with pytest.raises(LockHeld, match="others have wished longer"):
                lock.acquire()
        host_lock = RunLock(settings.lock_dir, "act", "the locks")
        host_lock.acquire()
        assert host_lock.gone == ()
        host_lock.release()


def test_another_host_takes_over_when_the_lease_has_ended(instance: Instance, gate: Gate) -> None:
    with hosts_of(instance) as (here, there):
        job = here.act(gate.touch, gate.wait)
        with holding(here, gate) as run:
            run.kill()
        end_lease(here)
        here.end_lease(job)  # the job's own lease, which is another one
        gate.open()
        with started(there, "act") as other:
            other.end()
        assert there.row(job).status is JobStatus.COMPLETED
        assert row_of(there).lease_expires is None


def is_renewed_since(host: Instance) -> Callable[[], bool]:
    """Return whether the lease has been renewed since this call, when called."""
    before = row_of(host).lease_expires
    return lambda: row_of(host).lease_expires != before


def test_the_lease_is_renewed_as_long_as_a_job_runs(instance: Instance, gate: Gate) -> None:
    with hosts_of(instance, lease="6s") as (here, there):
        here.act(gate.touch, gate.wait)
        with holding(here, gate) as run:
            for _ in range(4):
                wait_until(is_renewed_since(here), "a renewal", 60)
            with started(there, "act") as other:
                # It may have been taken over on a machine that did nothing for seconds, but not by both.
                assert "is held by" in other.end(3)
            gate.open()
            run.end()


def test_a_run_that_was_stopped_past_its_lease_starts_no_more_jobs(instance: Instance, gate: Gate) -> None:
    with hosts_of(instance, lease="6s") as (here, there):
        first = here.act(gate.touch, gate.wait, ("write", "first"))
        second = here.act(("write", "second"))
        with holding(here, gate) as run:
            run.signal(signal.SIGSTOP)
            try:
                wait_for_lease_end(here)
                with started(there, "act") as other:
                    other.end()  # the first job is still under its own lease
                assert there.row(second).status is JobStatus.COMPLETED
            finally:
                run.signal(signal.SIGCONT)
            log = run.end(3)  # its job is interrupted: the gate is still closed
        assert "the run has lost the lock of section act" in log
        assert here.row(first).status is JobStatus.WAITING
        assert here.row(first).crash_count == 0
        gate.open()
        with started(there, "act") as other:
            other.end()
        assert [note for _, _, note in here.ledger()] == ["second", "first"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("runner", ["max_workers: 2", "runner_class: ProcessJobRunner"])
def test_other_processes_of_a_run_that_lost_its_lock_end_their_jobs(
    instance: Instance, gate: Gate, runner: str
) -> None:
    with hosts_of(instance, lease="6s", more=runner) as (here, there):
        jobs = [here.act(gate.touch, gate.wait, ("write", "once")) for _ in range(3)]
        with holding(here, gate) as run:
            here.query("UPDATE jobcron_lock SET token = token + 1")  # as if another run had taken it
            log = run.end(3)
        assert "the run has lost the lock of section act" in log
        assert {here.row(job).status for job in jobs} == {JobStatus.WAITING}
        end_lease(here)
        gate.open()
        with started(there, "act") as other:
            other.end()
        assert sorted(here.ledger()) == [
            (job, 2 if here.row(job).attempt_count == 2 else 1, "once") for job in jobs
        ]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_that_holds_the_lock_of_sqlite_for_longer_than_the_lease_does_no_harm(
    instance: Instance, gate: Gate
) -> None:
    with hosts_of(instance, lease="6s") as (here, _):
        jobs = [here.act(("write", "x"), gate.touch, gate.wait), here.act(("write", "y"))]
        with holding(here, gate) as run:
            wait_for_lease_end(here)
            gate.open()
            assert "Ran 2 ActJob jobs." in run.end()
        assert [here.row(job).status for job in jobs] == [JobStatus.COMPLETED] * 2


def turn(hosts: list[Instance], gate: Gate) -> int:
    """Let all hosts run the section at once; return which of them gets the lock. The others find it taken."""
    hosts[0].act(gate.touch, gate.wait)
    hosts[0].act(priority=20)  # stays ready: who starts late has to find something to do, or it asks for no lock
    runs = [host.start("act") for host in hosts]
    gate.reached()
    wait_until(lambda: sum(run.poll() is not None for run in runs) == len(hosts) - 1, "the others to leave", 60)
    winner = next(number for number, run in enumerate(runs) if run.poll() is None)
    gate.open()
    for run in runs:
        run.communicate(timeout=60)
    assert [run.returncode for run in runs] == [0 if number == winner else 3 for number in range(len(hosts))]
    return winner


def test_hosts_that_start_at_the_same_time_get_the_lock_in_turns(instance: Instance, tmp_path: Path) -> None:
    with hosts_of(instance, 3) as hosts:
        got = [turn(hosts, Gate(tmp_path, f"round-{number}")) for number in range(7)]
        for number in range(len(got) - 2):
            assert len(set(got[number : number + 3])) == 3, got


def test_a_host_that_is_gone_holds_up_the_others_once(instance: Instance, gate: Gate) -> None:
    with hosts_of(instance) as (here, there):
        here.act(gate.touch, gate.wait)
        with holding(here, gate) as run:
            with started(there, "act") as other:
                other.end(3)
            gate.open()
            run.end()
        assert len(here.query("SELECT place FROM jobcron_lock_wish")) == 1  # it never comes back
        here.act(("write", "late"))
        with started(here, "act") as run:
            run.end()
        assert here.ledger()[-1][2] == "late"
        assert here.query("SELECT place FROM jobcron_lock_wish") == []


def test_of_two_workers_on_two_hosts_one_runs_the_section_until_it_is_gone(instance: Instance, gate: Gate) -> None:
    with hosts_of(instance, lease="6s") as (here, there), worker(here, "--processes", "1", "act") as one:
        jobs = [here.act(gate.touch, gate.wait), here.act(("write", "second"))]
        gate.reached()
        with worker(there, "act") as other:
            eventually(lambda: "act waits: the lock of section act" in other.log.read_text())
            eventually(lambda: row_of(here).lease_expires is not None)
            lost = [one.process.pid, *one.children()]
            assert here.row(jobs[1]).status is JobStatus.WAITING
            for pid in lost:
                os.kill(pid, signal.SIGKILL)
            here.end_lease(jobs[0])
            gate.open()
            eventually(is_completed(there, *jobs))
            assert gate.count() == 2
            assert other.stop() == 0
    assert row_of(here).lease_expires is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("rights", ["ALL", "INSERT, UPDATE"])
def test_a_role_without_the_rights_is_told_what_it_lacks_and_that_is_no_outage(
    instance: Instance, rights: str
) -> None:
    with hosts_of(instance, more="dbuser: foo_runner") as (here, _):
        here.query(f"REVOKE {rights} ON jobcron_lock FROM jobcron_runner")
        job = here.act(("write", "x"))
        with started(here, "act") as run:
            log = run.end(2)
        assert "expected a role that may use jobcron's tables" in log
        assert "permission denied for table jobcron_lock; `jobcron grant` gives it the rights that" in log
        assert "Traceback" not in log
        assert "unavailable" not in log
        here.command("grant")
        with started(here, "act") as run:
            run.end()
        assert here.row(job).status is JobStatus.COMPLETED
