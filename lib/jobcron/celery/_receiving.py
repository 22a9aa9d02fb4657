"""The one task: it runs the job whose number it is told."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

from jobcron.celery._application import celery_sections
from jobcron.dispatch.dispatchers import Dispatchers
from jobcron.reports.logs import NO_OOPS
from jobcron.runner.application import Application
from jobcron.settings.instance import presented
from jobcron.settings.settings import Section, Settings

if TYPE_CHECKING:
    from jobcron.scripts.worker.receiver import Receiver

MAX_ID = 2**63 - 1

PROGRAM = "celery worker"

logger = logging.getLogger("jobcron.celery")


class Receiving:
    """Runs jobs in the processes of a Celery worker.

    Args:
        settings: the instance's.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._by_queue: dict[str, Section] = {}
        for section in celery_sections(settings):
            self._by_queue.setdefault(section.offers_in, section)
        self._application: Application | None = None
        self._receiver: Receiver | None = None
        self._presented = ExitStack()

    def prepare(self) -> None:
        """Import the application, before the worker's processes are forked, and check the sections.

        Raises:
            UserMistake: it cannot be imported, or a section cannot be served.
        """
        from jobcron.scripts.worker.receiver import ready_to_receive

        self._presented.enter_context(presented(self.settings))
        self._application = ready_to_receive(self.settings, celery_sections(self.settings))

    def run(self, queue: object, job_id: object) -> None:
        """Run a job if it can be claimed.

        Args:
            queue: the name of the queue from which its number came.
            job_id: its number, if the message is ours.
        """
        section = self._by_queue.get(str(queue))
        if section is None or type(job_id) is not int or not 0 < job_id <= MAX_ID:
            text = "A message that is none of ours is dropped: %.100r from queue %.100r"
            logger.warning(text, job_id, queue, extra=NO_OOPS)
            return
        self._opened().receive(job_id, section)

    def close(self) -> None:
        """Close the databases of this process."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.close()

    def _opened(self) -> Receiver:
        if self._receiver is None:
            from jobcron.scripts.worker.receiver import Receiver

            assert self._application is not None
            dispatchers = Dispatchers(self.settings)  # of this process: connections cannot be shared with others
            root = logging.getLogger()
            self._receiver = Receiver(
                celery_sections(self.settings), self._application, dispatchers, root, PROGRAM
            )
        return self._receiver
