"""A broker that cannot be used, or that is away, is told in one line by whoever asks it (LP-32)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import redis as redis_client
from kombu.connection import Connection
from kombu.entity import Queue

from brokers import RabbitMQ, Redis, free_port
from celery_workers import CeleryWorker, celery_worker, completed, configure, dispatcher, each_once, refused_line
from instances import Instance, wait_until
from jobcron import JobStatus

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""The databases have no part in it."""

PASSWORD = "s3cr3tpw"

KEY = r"section \[jobcron\], key celery_broker_url"


@dataclass(frozen=True)
class Wrong:
    """A URL that is wrong in one place.

    Attributes:
        broker: the fixture of the broker.
        url: the URL, without the port.
        why: what the broker says.
    """

    broker: str
    url: str
    why: str


WRONG = {
    "password": Wrong("rabbitmq", f"amqp://guest:{PASSWORD}@127.0.0.1:%d//", "ACCESS_REFUSED - Login was refused"),
    "vhost": Wrong("rabbitmq", "amqp://guest:guest@127.0.0.1:%d/nosuch", "NOT_ALLOWED - vhost nosuch not found"),
    "redis-password": Wrong("locked_redis", f"redis://:{PASSWORD}no@127.0.0.1:%d/0", "invalid .*password"),
    "redis-no-password": Wrong("locked_redis", "redis://127.0.0.1:%d/0", "Authentication required"),
    "redis-database": Wrong("locked_redis", f"redis://:{PASSWORD}@127.0.0.1:%d/99", "DB index is out of range"),
    "redis-no-number": Wrong("locked_redis", f"redis://:{PASSWORD}@127.0.0.1:%d/abc", "Database is int"),
    "scheme": Wrong("locked_redis", "nosuch://127.0.0.1:%d/0", "No such transport: nosuch"),
}


@pytest.fixture
def locked_redis(redis: Redis) -> Redis:
    """Return a Redis that asks for a password."""
    redis_client.Redis(port=redis.port).config_set("requirepass", PASSWORD)
    return redis


@ON_SQLITE
@pytest.mark.feature("LP-32")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_broker_that_refuses_is_told_at_a_workers_start_by_an_offer_and_by_check_config(
    instance: Instance,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wrong: Wrong,
) -> None:
    url = wrong.url % request.getfixturevalue(wrong.broker).port
    configure(instance, url)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    shown = re.sub(r"//.*@", r"//\\S*:\\*\\*\\*@", url)
    expected = f"{KEY}: expected a broker that can be used, got {shown}: .*{wrong.why}"

    assert re.search(expected, refused_line(instance))

    number = instance.act(("write", "done"))
    (offered,) = [record for record in caplog.records if record.name == "jobcron.dispatch"]
    assert re.search(
        f"section act could not be offered to celery.*; cron runs them: .*{expected}", offered.getMessage()
    )

    checked, errors = instance.command("check-config", expect=2)
    assert re.search(expected, checked + errors)
    doctored, _ = instance.command("doctor", expect=3)
    assert re.search(f"section act: celery does not answer: .*{expected}", doctored)
    assert PASSWORD not in caplog.text + checked + errors + doctored

    instance.run("act")
    each_once(instance, number)


@ON_SQLITE
def test_a_broker_of_the_environment_is_named_by_its_variable(
    instance: Instance, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance, rabbitmq.url)
    monkeypatch.setenv("JOBCRON_CELERY_BROKER_URL", f"{rabbitmq.url[:-1]}nosuch")
    assert "jobcron: JOBCRON_CELERY_BROKER_URL: expected a broker that can be used" in refused_line(instance)


@ON_SQLITE
def test_a_queue_that_somebody_made_with_other_properties_is_told(
    instance: Instance, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance, rabbitmq.url)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    name = dispatcher().section.offers_in
    with Connection(rabbitmq.url) as connection:
        Queue(name, durable=False, auto_delete=True).bind(connection.default_channel).queue_declare()
        assert re.search(f"got amqp://.*: PRECONDITION_FAILED .*{name}", refused_line(instance))
        with celery_worker(instance, "-X", name):
            pass


@ON_SQLITE
@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_port_where_nobody_listens_is_told_at_a_workers_start_which_goes_on(
    instance: Instance, scheme: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    configure(instance, f"{scheme}://guest:{PASSWORD}@127.0.0.1:{port}/")
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    told = f"the broker {scheme}://guest:\\*\\*\\*@127.0.0.1:{port}/: .*Connection refused"
    worker = CeleryWorker(instance)
    try:
        wait_until(lambda: worker.said(f"(?m)^jobcron: {told}.*; it is asked again and again$"), "a line", 60)
        wait_until(lambda: worker.said("Trying again"), "Celery's next attempt", 60)
        assert worker.stop() == 0
    finally:
        worker.kill()
    assert PASSWORD not in worker.log.read_text()

    instance.act()
    assert re.search(f"could not be offered to celery.*: ConnectionError: {told}", caplog.text)
    assert PASSWORD not in caplog.text
    checked, _ = instance.command("check-config", expect=0)
    assert re.search(f"warning.* offered to celery, which does not answer: ConnectionError: {told}", checked)


@ON_SQLITE
def test_a_worker_that_starts_before_its_broker_runs_jobs_once_that_is_there(
    instance: Instance, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance, redis.url)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    redis.kill()
    worker = CeleryWorker(instance)
    try:
        wait_until(lambda: worker.said("it is asked again and again"), "a line", 60)
        redis.start()
        worker.wait()
        number = instance.act(("write", "done"))
        completed(instance, number)
    finally:
        worker.kill()
    assert instance.row(number).status is JobStatus.COMPLETED
