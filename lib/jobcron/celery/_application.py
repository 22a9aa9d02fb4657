"""The Celery application of an instance: the same for whoever sends and whoever receives."""

from __future__ import annotations

from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue

from jobcron.dispatch.known import CELERY
from jobcron.settings.settings import Section, Settings

TASK = "jobcron.run"
"""The name of the task; its only argument is a job's number."""

ANSWER_SECONDS = 2.0
"""How long a sender waits for the broker, for each of: a connection, an answer."""

REDIS_OPTIONS = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}


# why: decisions 2026-11-30, Celery's own variables do not choose the broker
class InstanceCelery(Celery):  # type: ignore[misc]  # it has no types
    """An application that asks the instance's broker, whatever Celery's own variables say, and has no results.

    Celery prefers CELERY_BROKER_URL and CELERY_RESULT_BACKEND of the environment to what its code is told: another
    program's variables would send the numbers of jobs to another program's broker.

    Attributes:
        broker: the URL of the instance's broker; an application without one sends nothing.
    """

    backend_cls = "disabled"
    broker: str | None = None

    def connection(self, hostname: str | None = None, **options: object) -> Connection:
        """Return a connection to the broker."""
        return self.connection_for_write(hostname, **options)

    def connection_for_read(self, url: str | None = None, **options: object) -> Connection:
        """Return a connection by which messages are received."""
        return super().connection_for_read(url or self.broker, **options)

    def connection_for_write(self, url: str | None = None, **options: object) -> Connection:
        """Return a connection by which messages are sent."""
        return super().connection_for_write(url or self.broker, **options)


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
    app = InstanceCelery("jobcron", set_as_current=False)
    app.broker = settings.celery_broker_url
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
