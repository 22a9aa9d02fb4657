"""Jobs that keep connections of the pool, until there are none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fooapp import ActJob
from instances import Instance
from jobcron import JobRunner, JobStatus


@pytest.fixture
def kept() -> Iterator[ExitStack]:
    """Return what keeps connections until the test's end."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("swallows", [False, True])
def test_a_job_that_keeps_all_connections_of_the_pool_fails_alone_and_with_a_report(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, kept: ExitStack, swallows: bool
) -> None:
    engine, run = instance.database.engine, ActJob.run
    monkeypatch.setattr(engine.pool, "_timeout", 0.1)
    greedy, after = instance.act(), instance.act(("write", "effect"))

    def keep(job: ActJob) -> None:
        with suppress(*[PoolTimeout] * swallows):
            while job.job.id == greedy:
                kept.enter_context(engine.connect())
        run(job)

    monkeypatch.setattr(ActJob, "run", keep)
    runner = JobRunner(ActJob, instance.database)
    runner.runAll()
    assert [instance.row(job).status for job in (greedy, after)] == [JobStatus.FAILED, JobStatus.COMPLETED]
    assert "QueuePool limit" in (instance.row(greedy).log or "")
    assert len(runner.oops_ids) == 1
    assert instance.ledger() == [(after, 1, "effect")]
