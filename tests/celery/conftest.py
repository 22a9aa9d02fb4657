"""Fixtures: private brokers, one of each kind for a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from brokers import RabbitMQ, Redis
from celery_workers import offers_to
from instances import Instance


@pytest.fixture(scope="session")
def kept_rabbitmq() -> Iterator[RabbitMQ]:
    """Return a RabbitMQ that tests may stop."""
    broker = RabbitMQ()
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture
def rabbitmq(kept_rabbitmq: RabbitMQ) -> RabbitMQ:
    """Return a RabbitMQ that answers."""
    if not kept_rabbitmq.answers():
        kept_rabbitmq.kill()
        kept_rabbitmq.start()
    return kept_rabbitmq


@pytest.fixture
def redis() -> Iterator[Redis]:
    """Return a Redis."""
    broker = Redis()
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture
def offering(request: pytest.FixtureRequest, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose jobs, also those of this process, go to a broker; the parameter names it."""
    broker = request.getfixturevalue(getattr(request, "param", "rabbitmq"))
    return offers_to(instance, broker, monkeypatch)
