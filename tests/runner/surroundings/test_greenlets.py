"""Under gevent and eventlet, which replace threads and waiting, leases, limits and signals hold all the same."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from endless import ENDLESS_SECONDS, soon
from instances import Instance
from jobcron import JobStatus
from runner_processes import Gate, configure, first_lease, is_as_never_claimed, make, started, wait_past
from shortleaseapp import BriefJob, BusyJob, LimitedJob

WRITE = ("write", "effect")

LIBRARIES = pytest.mark.parametrize(
    ("library", "database_url"),
    [("gevent", "sqlite"), ("gevent", "postgresql"), ("psycogreen", "postgresql"), ("eventlet", "sqlite")],
    indirect=["database_url"],
)


def use(instance: Instance, library: str, more: str = "") -> None:
    """Let the application use a library."""
    configure(instance, more, quick_keeper=True)
    path = instance.path / "jobcron.conf"
    text = path.read_text()
    path.write_text(text.replace("shortleaseapp:register_with_quick_keeper", f"greenapp:with_{library}"))


@LIBRARIES
def test_a_job_that_computes_longer_than_its_lease_is_not_taken(
    instance: Instance, gate: Gate, library: str
) -> None:
    use(instance, library)
    job = make(instance, BriefJob, gate.touch, ("compute_until", gate.wait[1]), WRITE)
    with started(instance, "brief") as run:
        gate.reached()
        lease = first_lease(instance, job)
        wait_past(instance, lease)
        assert first_lease(instance, job) > lease
        with started(instance, "brief_again") as other:
            assert "Ran" not in other.end()
        gate.open()
        run.end()
    row = instance.row(job)
    assert (row.status, row.attempt_count, row.lease_token) == (JobStatus.COMPLETED, 1, 1)
    assert instance.ledger() == [(job, 1, "effect")]


@LIBRARIES
def test_a_time_limit_ends_a_job_that_waits_and_one_that_computes(
    instance: Instance, tmp_path: Path, library: str
) -> None:
    use(instance, library)
    jobs = [
        make(instance, LimitedJob, ("sleep", ENDLESS_SECONDS)),
        make(instance, LimitedJob, ("compute_until", str(tmp_path / "never"))),
        make(instance, LimitedJob, WRITE),
    ]
    if instance.database.dialect == "postgresql":
        jobs.append(make(instance, LimitedJob, ("sql", f"SELECT pg_sleep({ENDLESS_SECONDS})")))
    with soon(), started(instance, "limited") as run:
        run.end()
    logs = [str(instance.row(job).log) for job in jobs]
    assert ["TimeLimitExceeded" in log for log in logs] == [True, True, False, True][: len(jobs)]
    assert instance.ledger() == [(jobs[2], 1, "effect")]


@LIBRARIES
def test_a_stop_ends_a_job_that_waits(instance: Instance, gate: Gate, library: str) -> None:
    use(instance, library, "grace_seconds: 0.2s")
    job, behind = make(instance, BusyJob, gate.touch, ("sleep", ENDLESS_SECONDS)), make(instance, BusyJob)
    with started(instance, "busy") as run:
        gate.reached()
        with soon():
            run.signal(signal.SIGTERM)
            log = run.end()
    assert "Traceback" not in log  # the loop that runs greenlets prints the errors that it gets
    assert is_as_never_claimed(instance.row(job))
    assert is_as_never_claimed(instance.row(behind))


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_isolated_jobs_run_within_their_limits(instance: Instance, library: str) -> None:
    use(instance, library)
    with (instance.path / "jobcron.conf").open("a") as file:
        file.write("\n[apart]\nsource_interface: shortleaseapp.LimitedJob\nrunner_class: ProcessJobRunner\n")
    jobs = [make(instance, LimitedJob, action) for action in [WRITE, ("sleep", ENDLESS_SECONDS), WRITE]]
    with started(instance, "apart") as run:
        run.end()
    assert "TimeLimitExceeded" in str(instance.row(jobs[1]).log)
    assert instance.ledger() == [(jobs[0], 1, "effect"), (jobs[2], 1, "effect")]
