"""The Celery application of an instance: the same for whoever sends and whoever receives."""

from __future__ import annotations

from celery import Celery
from kombu.entity import Queue

from jobcron.dispatch.dispatchers import CELERY
from jobcron.settings.settings import Section, Settings

TASK = "jobcron.run"
"""The name of the task; its only argument is a job's number."""

ANSWER_SECONDS = 2.0
"""How long a sender waits for the broker, for each of: a connection, an answer."""

REDIS_OPTIONS = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}


def celery_sections(settings: Settings) -> list[Section]:
    """Return the sections whose jobs may go to Celery: those whose jobs run one after the other may not."""
    known = [section for section in settings.sections.values() if section.source_interface is not None]
    sections = [section for section in known if not section.is_alone_everywhere]
    return [section for section in sections if section.dispatch in (None, CELERY)]


def queue_of(section: Section) -> Queue:
    """Return the queue of a section."""
    return Queue(section.offers_in, routing_key=section.offers_in, durable=True)


def application_of(settings: Settings) -> Celery:
    """Return an application that sends to the instance's broker, and knows the queues of its sections.

    Messages are acknowledged when they arrive, since the job's row is what must not get lost; there are no
    results, no times to wait for, and no beat.
    """
    app = Celery("jobcron", broker=settings.celery_broker_url, backend=None, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_create_missing_queues=False,
        task_queues=list({section.offers_in: queue_of(section) for section in celery_sections(settings)}.values()),
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_timeout=ANSWER_SECONDS,
        broker_connection_retry_on_startup=True,
        enable_utc=True,
        timezone="UTC",
    )
    if app.conf.task_queues:
        app.conf.task_default_queue = app.conf.task_queues[0].name
    return app
