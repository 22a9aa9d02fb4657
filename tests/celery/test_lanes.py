"""Fast and slow lanes behind Celery: a job that passes its limit goes on in another section's queue (LP-32)."""

from __future__ import annotations

from uuid import uuid4

import pytest

import lanesapp
from brokers import RabbitMQ
from celery_workers import celery_worker, completed, each_once, offers_to
from instances import Instance

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""The databases have no part in it."""


@pytest.mark.feature("LP-32")
def test_a_job_that_passes_the_limit_of_its_lane_goes_on_in_the_queue_of_the_slow_one(
    instance: Instance, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = uuid4().hex[:8]
    sections = "".join(
        f"[{name}]\nsource_interface: lanesapp.{source}\ndispatch: celery\ndispatch_queue: {mark}.{name}\n\n"
        for name, source in (("note", "NoteJob"), ("slow_note", "SlowNoteJob"))
    )
    offers_to(instance, rabbitmq, monkeypatch, sections)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "lanesapp:register_with_quick_keeper"))
    with celery_worker(instance, "--concurrency", "1") as worker, instance.session() as session:
        number = lanesapp.NoteJob.create(seconds=3 * lanesapp.SECONDS, session=session).id
        session.commit()
        completed(instance, number)
        assert worker.stop() == 0
    each_once(instance, number)
    assert instance.events(number) == ["slow lane"]
    assert [note for *_, note in instance.ledger(number)] == ["SlowNoteJob"]
