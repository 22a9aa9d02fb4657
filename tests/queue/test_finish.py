"""The end of an attempt: an outcome meets a job with the same key."""

from __future__ import annotations

import signal

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus
from runner_processes import Gate, started

WRITE = ("write", "effect")


@pytest.mark.feature("LP-09")
@pytest.mark.feature("LP-21")
def test_a_retry_that_meets_a_job_with_its_key_is_superseded_by_it(instance: Instance, gate: Gate) -> None:
    actions = [WRITE, ("raise", "retry")]
    with instance.session() as session:
        foo = instance.foo(session)
        metadata = {"do": [gate.touch, gate.wait, *actions]}
        job = ActJob.acquire(foo, metadata=metadata, max_retries=5, session=session).job.id
    with started(instance, "act") as run:
        gate.reached()
        with instance.session() as session:
            # A running job may have read the old state: this makes a new one.
            twin = ActJob.acquire(session.merge(foo), metadata={"do": [WRITE]}, session=session).job.id
        assert twin != job
        gate.open()
        log = run.end()
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (JobStatus.CANCELLED, 1)
    assert row.date_finished is not None
    history = instance.query("SELECT kind, detail FROM jobcron_event WHERE job = :job", job=job)
    assert history == [("superseded", f"superseded by {twin}")]
    assert f"superseded by {twin}" in log
    assert instance.row(twin).status is JobStatus.COMPLETED
    assert instance.ledger() == [(twin, 1, "effect")]
    assert instance.oopses() == []


@pytest.mark.feature("LP-09")
def test_the_history_of_a_superseded_job_says_that_it_was_interrupted(instance: Instance, gate: Gate) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        asked = Gate(gate.folder, "asked")
        actions = [gate.touch, ("wait_for_stop", asked.touch[1]), gate.wait]
        job = ActJob.acquire(foo, metadata={"do": actions}, session=session).job.id
    with started(instance, "act") as run:
        gate.reached()
        with instance.session() as session:
            twin = ActJob.acquire(session.merge(foo), metadata={"do": [WRITE]}, session=session).job.id
        run.signal(signal.SIGTERM)
        asked.reached()  # else it may see only one
        run.signal(signal.SIGTERM)
        run.end()
    row = instance.row(job)
    assert (row.status, row.attempt_count) == (
        JobStatus.CANCELLED,
        0,
    )  # and so an attempt that began is not counted
    history = instance.query("SELECT kind, detail FROM jobcron_event WHERE job = :job", job=job)
    assert history == [("superseded", f"interrupted, superseded by {twin}")]
    assert instance.row(twin).status is JobStatus.WAITING
