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
def offering(instance: Instance, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose jobs go to RabbitMQ, also those that this process creates."""
    return offers_to(instance, rabbitmq, monkeypatch)
