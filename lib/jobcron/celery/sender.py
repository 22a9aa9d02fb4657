"""Hand the numbers of jobs to Celery's broker, from a process that creates jobs."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from zope.interface import implementer

from jobcron.dispatch.dispatchers import seconds_left
from jobcron.errors import ConfigurationError
from jobcron.interfaces import IDispatcher
from jobcron.reports.plurals import counted
from jobcron.settings.instance import BROKER_VARIABLE
from jobcron.settings.settings import Section, Settings

try:
    from jobcron.celery._application import ANSWER_SECONDS, REDIS_OPTIONS, TASK, application_of, queue_of
    from jobcron.celery._broker import naming_broker
except ModuleNotFoundError as error:
    raise ConfigurationError(
        f"expected the packages of the extra celery, got: {error}; pip install 'jobcron[celery]' brings them"
    ) from error

AGAIN = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""Once more, at once: the broker may have been restarted since the connection was last used."""


@implementer(IDispatcher)
class CeleryDispatcher:
    """Offers the jobs of a section to Celery's workers.

    Args:
        settings: the instance's.
        section: the section.

    Raises:
        ConfigurationError: the instance has no broker.
    """

    def __init__(self, settings: Settings, section: Section) -> None:
        if settings.celery_broker_url is None:
            place = f"{settings.path}: section [{section.name}], key dispatch"
            raise ConfigurationError(
                f"{place}: expected the key celery_broker_url in [jobcron], or {BROKER_VARIABLE}, for celery, "
                "got neither"
            )
        self._settings = settings
        self._app = application_of(settings)
        scheme = settings.celery_broker_url.partition(":")[0]
        # Without a confirmation, what is written to a connection that has just broken seems to have been sent.
        is_amqp = scheme in ("amqp", "amqps", "pyamqp")
        self._app.conf.broker_transport_options = {"confirm_publish": True} if is_amqp else REDIS_OPTIONS
        self._queue = queue_of(section)

    def offer(self, job_ids: Sequence[int]) -> None:
        """Send a message for each job; return when the broker has them.

        Raises:
            ConfigurationError: the broker cannot be used as it is set up.
            ConnectionError: it does not answer, or the commit has waited for long enough; some of the messages may
                have been sent.
        """
        wait = max(0.0, min(ANSWER_SECONDS, seconds_left()))  # other threads may have all connections
        with naming_broker(self._settings), self._app.producer_pool.acquire(block=True, timeout=wait) as producer:
            for sent, job_id in enumerate(job_ids):
                if seconds_left() <= 0:
                    raise TimeoutError(f"it is slow, it has got {sent} of {counted(len(job_ids), 'job')} in time")
                self._app.send_task(
                    TASK,
                    args=(job_id,),
                    task_id=f"{job_id}-{uuid4()}",
                    queue=self._queue,
                    producer=producer,
                    retry=True,
                    retry_policy=AGAIN,
                    ignore_result=True,
                    timeout=ANSWER_SECONDS,
                    confirm_timeout=ANSWER_SECONDS,
                )

    def status(self) -> str:
        """Return how many messages wait in the queue, and how many receive them.

        Raises:
            ConfigurationError: the broker cannot be used as it is set up.
            ConnectionError: it does not answer.
        """
        with naming_broker(self._settings), self._app.connection_for_read() as connection:
            found = self._queue.bind(connection.default_channel).queue_declare()
        return f"{self._queue.name}: messages: {found.message_count}, workers: {found.consumer_count}"

    def withdraw(self, job_ids: Sequence[int]) -> None:
        """Do nothing: a message cannot be taken out of a queue, and one for a job that has moved on is dropped.

        So nobody calls it: see `jobcron.dispatch.known`.
        """
