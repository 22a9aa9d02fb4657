"""What a worker is doing now, for Prometheus: a file that it writes while it lives, and removes when it leaves."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress

from jobcron.errors import DirectoryError
from jobcron.reports import _prometheus_text
from jobcron.reports._prometheus_text import Family, Labels
from jobcron.reports.logs import NO_OOPS
from jobcron.settings.directories import check_shared_directory
from jobcron.settings.settings import Settings

PROCESSES = "jobcron_worker_processes"
MOST_PROCESSES = "jobcron_worker_most_processes"
STARTED = "jobcron_worker_start_timestamp_seconds"
SEEN = "jobcron_worker_last_sign_timestamp_seconds"

FAMILIES = (
    Family(PROCESSES, "gauge", "Processes of the worker, those that wait for jobs as well."),
    Family(MOST_PROCESSES, "gauge", "How many it may have at once."),
    Family(STARTED, "gauge", "When it began, in seconds since 1970 by this machine's clock."),
    Family(SEEN, "gauge", "Its last sign of life."),
)

LONG = 100
"""Longer names of files are cut, and end with a digest."""


class WorkerMetrics:
    """Writes the file of a worker, if the instance has a directory for metrics.

    A worker with the same sections on the same host, such as the one after it, has the same file.

    Args:
        settings: the instance's.
        sections: the names of the worker's sections.
        most_processes: how many processes it may have.
        logger: the worker's log.
    """

    def __init__(
        self, settings: Settings, sections: Sequence[str], most_processes: int, logger: logging.Logger
    ) -> None:
        names = sorted(sections)
        self._directory = settings.metrics_dir
        self._what = f"{settings.place('metrics_dir')}: the directory"
        self._path = os.path.join(settings.metrics_dir or "", f"jobcron.{_short('+'.join(names))}.prom")
        self._labels: Labels = (("sections", ",".join(names)),)
        self._most_processes = most_processes
        self._started = time.time()
        self._logger = logger
        self._has_failed = False

    def write(self, processes: int) -> None:
        """Write the file, with a sign of life; a failure is logged once.

        Args:
            processes: how many processes there are.
        """
        if self._directory is None:
            return
        values = {
            PROCESSES: float(processes),
            MOST_PROCESSES: float(self._most_processes),
            STARTED: self._started,
            SEEN: time.time(),
        }
        text = _prometheus_text.exposition(FAMILIES, {(n, self._labels): value for n, value in values.items()})
        try:
            check_shared_directory(self._directory, self._what)
            _prometheus_text.write(self._path, text)
        except (OSError, DirectoryError) as error:
            if not self._has_failed:
                told = "The metrics of this worker could not be written: %s"
                self._logger.warning(told, error, extra=NO_OOPS)
            self._has_failed = True
        else:
            self._has_failed = False

    def remove(self) -> None:
        """Remove the file: a worker that has left is no dead one."""
        if self._directory is not None:
            with suppress(OSError):  # it may never have been written
                os.unlink(self._path)


def _short(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return name if len(name) <= LONG else f"{name[:LONG]}+{digest}"
