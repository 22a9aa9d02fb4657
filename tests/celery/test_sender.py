"""Jobs go to Celery as soon as they are committed (LP-32)."""

from __future__ import annotations

import pytest

from brokers import RabbitMQ
from celery_workers import celery_worker, completed, configure
from instances import Instance


@pytest.fixture
def offering(instance: Instance, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose jobs go to RabbitMQ, also those that this process creates."""
    configure(instance, rabbitmq.url)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    return instance


@pytest.mark.feature("LP-32")
def test_a_job_that_is_committed_runs_at_once_in_a_worker_of_celerys(offering: Instance) -> None:
    with celery_worker(offering, "--concurrency", "1"):
        number = offering.act(("write", "done"))
        completed(offering, number)
    assert len(offering.ledger(number)) == 1
