"""What leaves for the broker, and for which: a message for each job, with its number (LP-32)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from brokers import RabbitMQ
from celery_workers import (
    celery_sections,
    celery_worker,
    completed,
    dispatcher,
    each_once,
    offers_to,
    taken,
    waiting,
)
from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""The databases have no part in it."""

DONE = ("write", "done")


@pytest.mark.feature("LP-32")
def test_variables_of_celerys_own_lead_no_job_to_another_broker(
    offering: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "BROKER_URL"):
        monkeypatch.setenv(name, "redis://:theirs@127.0.0.1:9/0")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "nosuch://127.0.0.1:9/0")
    with celery_worker(offering, "--concurrency", "1") as worker:  # it inherits them
        number = offering.act(DONE)
        assert dispatcher().made().status().endswith("workers: 1")
        completed(offering, number)
        assert worker.stop() == 0
    each_once(offering, number)


@pytest.mark.feature("LP-32")
def test_without_the_key_dispatch_a_job_goes_to_celery_only_if_it_is_told_to(
    instance: Instance, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers_to(instance, rabbitmq, monkeypatch, celery_sections(""))
    plain = instance.act(DONE)
    assert waiting(dispatcher().section) == 0
    with instance.session() as session:
        job = ActJob.create(instance.foo(session), metadata={"do": [DONE], "tell": []}, session=session)
        job.celeryRunOnCommit()
        told = job.id
        session.flush()
        assert waiting(dispatcher().section) == 0
    assert waiting(dispatcher().section) == 1
    with celery_worker(instance, "--concurrency", "1"):
        completed(instance, told)
    each_once(instance, told)
    assert instance.row(plain).status is JobStatus.WAITING


@pytest.mark.feature("LP-32")
def test_a_message_is_the_number_of_a_job_and_nothing_else_of_it(offering: Instance) -> None:
    number = offering.act(DONE, tell=["s3cr3tpw@example.com"])
    headers, body = taken(dispatcher().section)
    assert body[:2] == [[number], {}]
    assert headers["task"] == "jobcron.run"
    assert headers["retries"] == 0
    empty = ("eta", "expires", "group", "parent_id")
    assert [headers[name] for name in empty] == [None] * len(empty)
    for told in ("ActJob", "fooapp", "s3cr3tpw", "done"):
        assert told not in repr((headers, body))


@pytest.mark.feature("LP-32")
def test_a_message_is_acknowledged_when_it_arrives_and_asks_for_no_result(offering: Instance) -> None:
    code = (
        "from jobcron.celery import app; task = app.tasks['jobcron.run']; "
        "print(task.acks_late, task.ignore_result, task.max_retries, app.backend.as_uri())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True 0 disabled://\n"
