"""Report what happens to jobs to listeners: a file for Prometheus, and the application's hook (LP-33).

The runners call the `Observer` of the run; it never raises, whatever the listeners do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jobcron.errors import DirectoryError
from jobcron.reports._metrics_file import Tally
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.metric_events import (
    JobEnded,
    JobStarted,
    JobTakenOver,
    MetricEvent,
    ReadyCounted,
    RunEnded,
)
from jobcron.settings.named import find_named
from jobcron.settings.settings import Settings

Listener = Callable[[MetricEvent], object]


class Observer:
    """Reports the events of a run to listeners.

    A listener's first failure is logged; the listener still receives the events that follow.

    Args:
        section: the section's name.
        listeners: the listeners, by their names in the log.
        logger: logs listeners that fail.

    Attributes:
        succeeded: whether the run did its work, if it ends without an error.
    """

    def __init__(self, section: str, listeners: dict[str, Listener], logger: logging.Logger) -> None:
        self._section = section
        self._listeners = listeners
        self._logger = logger
        self._failed: set[str] = set()
        self.succeeded = True

    @property
    def is_heard(self) -> bool:
        """Whether there are listeners."""
        return bool(self._listeners)

    def job_started(self, job_class: str, job_id: int, waited: float | None) -> None:
        """Report that an attempt begins; see `JobStarted`."""
        if self._listeners:
            self._tell(JobStarted(self._section, job_class, job_id, waited))

    def job_ended(self, job_class: str, job_id: int, outcome: str, seconds: float) -> None:
        """Report that an attempt has ended.

        Args:
            job_class: the name of the job's class.
            job_id: the job's number.
            outcome: its word in the job's history.
            seconds: how long it took.
        """
        if self._listeners:
            word = outcome.replace(" ", "_")
            self._tell(JobEnded(self._section, job_class, job_id, word, seconds))

    def job_taken_over(self, job_id: int) -> None:
        """Report that we have taken over a job whose process left it."""
        self._tell(JobTakenOver(self._section, job_id))

    def ready_counted(self, ready: int, oldest_seconds: float, offered: int = 0) -> None:
        """Report how many jobs are ready, how long the oldest has been, in seconds, and how many were offered."""
        self._tell(ReadyCounted(self._section, ready, oldest_seconds, offered))

    def run_ended(self, seconds: float, succeeded: bool) -> None:
        """Report that the run ends."""
        self._tell(RunEnded(self._section, seconds, succeeded))

    def _tell(self, event: MetricEvent) -> None:
        for name, listener in self._listeners.items():
            try:
                listener(event)
            except (Exception, SystemExit) as error:
                if name not in self._failed:
                    self._failed.add(name)
                    self._logger.warning("%s failed: %s: %s", name, type(error).__name__, error, extra=NO_OOPS)


NOBODY = Observer("", {}, logging.getLogger())

_observer: ContextVar[Observer] = ContextVar("jobcron_observer", default=NOBODY)


def current_observer() -> Observer:
    """Return the observer of the current run."""
    return _observer.get()


@contextmanager
def observed(settings: Settings, section: str, started: float, logger: logging.Logger) -> Iterator[Observer]:
    """Report the run inside the block, and its end, to the instance's listeners.

    Args:
        settings: the instance's.
        section: the section's name.
        started: when the script began, in seconds of the monotonic clock.
        logger: the script's.

    Raises:
        ConfigurationError: the hook does not exist.
    """
    observer = observer_of(settings, section, logger)
    succeeded = False
    try:
        with observed_by(observer):
            yield observer
            succeeded = observer.succeeded
    finally:
        observer.run_ended(time.monotonic() - started, succeeded)


def observer_of(settings: Settings, section: str, logger: logging.Logger) -> Observer:
    """Return what reports a section's jobs to the instance's listeners; whoever has it tells it of the run's end.

    Raises:
        ConfigurationError: the hook does not exist.
    """
    return Observer(section, _listeners(settings, section, logger), logger)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Let an observer be that of the current run inside the block."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def find_hook(settings: Settings) -> Listener | None:
    """Return the instance's hook, or None.

    Raises:
        ConfigurationError: it does not exist.
    """
    if settings.metrics_hook is None:
        return None
    hook: Listener = find_named(settings.metrics_hook, settings.place("metrics_hook"))
    return hook


def _listeners(settings: Settings, section: str, logger: logging.Logger) -> dict[str, Listener]:
    listeners: dict[str, Listener] = {}
    hook = find_hook(settings)
    if hook is not None:
        listeners[f"The metrics_hook {settings.metrics_hook}"] = hook
    if settings.metrics_dir is not None:
        what = f"{settings.place('metrics_dir')}: the directory"
        tally = Tally(settings.metrics_dir, what, section)
        listeners[f"The file {tally.path}"] = _File(tally, logger)
    return listeners


class _File:
    """Keeps the tally of a run, and writes it to its file at the end."""

    def __init__(self, tally: Tally, logger: logging.Logger) -> None:
        self._tally, self._logger = tally, logger

    def __call__(self, event: MetricEvent) -> None:
        match event:
            case JobStarted():
                self._tally.started(event.job_class, event.waited)
            case JobEnded():
                self._tally.ended(event.job_class, event.outcome, event.seconds)
            case JobTakenOver():
                self._tally.taken_over()
            case ReadyCounted():
                self._tally.ready(event.ready, event.oldest_seconds, event.offered)
            case RunEnded():
                self._tally.run_ended(event.seconds, event.succeeded)
                self._write()

    def _write(self) -> None:
        try:
            problem = self._tally.write()
        except (OSError, DirectoryError) as error:
            self._logger.warning("The metrics of this run could not be written: %s", error, extra=NO_OOPS)
            return
        if problem:
            self._logger.warning(
                "The counters of %s start again at 0: %s", self._tally.path, problem, extra=NO_OOPS
            )
