"""The keeper: what it does for a job that runs long, and to one that must not go on."""

from __future__ import annotations

import gc
import os
import re
import threading

import pytest

from instances import Instance, wait_until
from jobcron import Job, JobStatus
from runner_processes import Gate, is_as_never_claimed, make, started
from shortleaseapp import BriefJob, BusyJob

WRITE = ("write", "effect")


@pytest.mark.feature("LP-03")
def test_progress_is_seen_by_others_while_the_job_runs(quick_keeper: Instance, gate: Gate) -> None:
    halfway = Gate(gate.folder, "halfway")
    job = make(
        quick_keeper,
        BusyJob,
        ("progress", 20),
        gate.touch,
        gate.wait,
        ("progress", 70),
        halfway.touch,
        halfway.wait,
        WRITE,
    )
    with started(quick_keeper, "busy") as run:
        gate.reached()
        wait_until(lambda: quick_keeper.row(job).progress == 20, "the first progress")
        assert quick_keeper.row(job).status is JobStatus.RUNNING
        gate.open()
        wait_until(lambda: quick_keeper.row(job).progress == 70, "the second progress")
        halfway.open()
        run.end()
    assert (quick_keeper.row(job).status, quick_keeper.row(job).progress) == (JobStatus.COMPLETED, 70)


def test_jobs_claimed_behind_a_slow_one_are_given_back_and_another_runner_runs_them(
    quick_keeper: Instance, gate: Gate
) -> None:
    quick = [make(quick_keeper, BusyJob, WRITE) for _ in range(2)]
    slow = make(quick_keeper, BusyJob, gate.touch, gate.wait, WRITE)
    behind = [make(quick_keeper, BusyJob, WRITE) for _ in range(5)]
    with started(quick_keeper, "busy") as run:
        gate.reached()
        wait_until(
            lambda: all(is_as_never_claimed(quick_keeper.row(job)) for job in behind), "the jobs to be given back"
        )
        quick_keeper.run("busy")
        assert [job for job, *_ in quick_keeper.ledger()] == [*quick, *behind]
        gate.open()
        log = run.end()
    assert "Ran 3 BusyJob jobs." in log
    assert [(row.status, row.attempt_count) for row in quick_keeper.rows()] == [(JobStatus.COMPLETED, 1)] * 8
    assert [job for job, *_ in quick_keeper.ledger()] == [*quick, *behind, slow]
    # Two claims for those who were given back, and no word of it in their histories.
    assert quick_keeper.row(behind[0]).lease_token == 2
    assert [quick_keeper.events(job) for job in behind] == [[], [], [], [], []]


def test_a_job_cancelled_by_hand_while_it_runs_is_interrupted_and_its_work_undone(
    quick_keeper: Instance, gate: Gate
) -> None:
    # SQLite would let nobody cancel a job that has written.
    written = [] if quick_keeper.database.dialect == "sqlite" else [WRITE]
    cancelled = make(quick_keeper, BriefJob, *written, gate.touch, ("stubborn_wait", "/nowhere"))
    neighbour = make(quick_keeper, BriefJob, WRITE)
    with started(quick_keeper, "brief") as run:
        gate.reached()
        with quick_keeper.session() as session:
            session.get_one(Job, cancelled).cancel()
        log = run.end()
    row = quick_keeper.row(cancelled)
    assert (row.status, row.attempt_count) == (JobStatus.CANCELLED, 0)
    assert quick_keeper.ledger() == [(neighbour, 1, "effect")]
    assert quick_keeper.oopses() == []
    told = rf"INFO    BriefJob \(ID {cancelled}\) was cancelled by \S+@\S+ while it ran; nothing was committed\.\n"
    assert re.search(told, log), log


def test_the_renewal_of_a_job_that_has_ended_is_gone_while_the_next_one_runs(
    quick_keeper: Instance, gate: Gate
) -> None:
    first = Gate(gate.folder, "first")
    job = make(quick_keeper, BusyJob, ("progress", 20), first.touch, first.wait, WRITE)
    make(quick_keeper, BusyJob, gate.touch, gate.wait, WRITE)

    def renewed() -> set[int]:
        return {number for number, *_ in quick_keeper.renewals()}

    with started(quick_keeper, "busy") as run:
        first.reached()
        wait_until(lambda: job in renewed(), "the first job's renewal", seconds=60)
        first.open()
        gate.reached()
        wait_until(lambda: job not in renewed(), "the end of the first job's renewal", seconds=60)
        gate.open()
        run.end()
    assert [row.status for row in quick_keeper.rows()] == [JobStatus.COMPLETED] * 2


def test_a_keeper_leaves_no_descriptor_and_no_thread(quick_keeper: Instance) -> None:
    def run() -> tuple[int, int]:
        make(quick_keeper, BusyJob, WRITE)
        assert "Ran 1 BusyJob jobs." in quick_keeper.run("busy")
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    run()  # what a process opens once
    descriptors, threads = run()
    more = [run() for _ in range(2)][-1]
    assert more[0] <= descriptors  # those of an earlier test may be closed meanwhile
    assert more[1] <= threads
