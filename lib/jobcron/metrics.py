"""What happens to jobs, told to those who measure: a file for Prometheus, and a hook of the application (LP-33).

The runners tell the `Observer` of the run; it never fails, whatever those who listen do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from jobcron.callables import find_callable
from jobcron.database import execute
from jobcron.errors import DirectoryError
from jobcron.logs import TOLD
from jobcron.settings import Settings
from jobcron.tally import Tally

if TYPE_CHECKING:
    from jobcron.attempt import Attempt

READY_LIMIT = 100_000
"""How many ready jobs of one priority are counted, at most."""


@dataclass(frozen=True)
class JobStarted:
    """An attempt at a job begins.

    Attributes:
        section: of the configuration.
        job_class: the name of the job's class.
        job_id: the job's number.
        waited: seconds that the job was ready before it was taken; None where nobody knows, as of a job that was
            taken over from a process that died.
    """

    section: str
    job_class: str
    job_id: int
    waited: float | None


@dataclass(frozen=True)
class JobEnded:
    """An attempt at a job has ended, and what became of it is written.

    Attributes:
        section, job_class, job_id: as of `JobStarted`.
        outcome: "completed", "failed", "user_error", "retry", "suspended", "interrupted", "superseded" or
            "lease_lost".
        seconds: how long it took.
    """

    section: str
    job_class: str
    job_id: int
    outcome: str
    seconds: float


@dataclass(frozen=True)
class JobTakenOver:
    """A job was found under a lease that is past: the process that had begun it died, or was cut off for as long.

    Attributes:
        section, job_id: as of `JobStarted`.
    """

    section: str
    job_id: int


@dataclass(frozen=True)
class ReadyCounted:
    """What is still ready at the end of a run.

    Attributes:
        section: as of `JobStarted`.
        ready: how many jobs are.
        oldest_seconds: how long the first in line has been ready; 0 where none is.
    """

    section: str
    ready: int
    oldest_seconds: float


@dataclass(frozen=True)
class RunEnded:
    """A run of the script has looked at its jobs, and ends.

    Attributes:
        section: as of `JobStarted`.
        seconds: since the script began.
        succeeded: whether it could do its work, also where jobs failed.
    """

    section: str
    seconds: float
    succeeded: bool


Event = JobStarted | JobEnded | JobTakenOver | ReadyCounted | RunEnded

Listener = Callable[[Event], object]


class Observer:
    """Tells listeners what happens in a run.

    A listener that fails is logged once, and told of what follows all the same.

    Args:
        section: the section's name.
        listeners: who is told, by the words for it in the log.
        logger: told of those that fail.
    """

    def __init__(self, section: str, listeners: dict[str, Listener], logger: logging.Logger) -> None:
        self._section = section
        self._listeners = listeners
        self._logger = logger
        self._failed: set[str] = set()

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def job_started(self, attempt: Attempt) -> None:
        """Tell that an attempt begins."""
        self._tell(JobStarted(self._section, _class_of(attempt), attempt.claim.id, attempt.waited))

    def job_ended(self, attempt: Attempt, outcome: str, seconds: float) -> None:
        """Tell that an attempt has ended.

        Args:
            attempt: the attempt.
            outcome: the word for it in the job's history.
            seconds: how long it took.
        """
        word = outcome.replace(" ", "_")
        self._tell(JobEnded(self._section, _class_of(attempt), attempt.claim.id, word, seconds))

    def job_taken_over(self, job_id: int) -> None:
        """Tell that a job was left behind by its process, and is ours now."""
        self._tell(JobTakenOver(self._section, job_id))

    def count_ready(self, connection: Connection, source: str) -> None:
        """Tell how many jobs of a source, which is given by its dotted name, are ready; only reads."""
        row = execute(connection, "ready", {"source": source, "limit": READY_LIMIT}).one()
        oldest = 0.0
        if row.since is not None:  # datetimes from PostgreSQL, texts from SQLite
            since, now = (datetime.fromisoformat(str(moment)) for moment in (row.since, row.now))
            oldest = max(0.0, (now - since).total_seconds())
        self._tell(ReadyCounted(self._section, int(row.ready), oldest))

    def run_ended(self, seconds: float, succeeded: bool) -> None:
        """Tell that the run ends."""
        self._tell(RunEnded(self._section, seconds, succeeded))

    def _tell(self, event: Event) -> None:
        for name, listener in self._listeners.items():
            try:
                listener(event)
            except (Exception, SystemExit) as error:
                if name not in self._failed:
                    self._failed.add(name)
                    self._logger.warning("%s failed: %s: %s", name, type(error).__name__, error, extra=TOLD)


NOBODY = Observer("", {}, logging.getLogger())

_observer: ContextVar[Observer] = ContextVar("jobcron_observer", default=NOBODY)


def current_observer() -> Observer:
    """Return the observer of the run that this is."""
    return _observer.get()


@contextmanager
def observed(settings: Settings, section: str, started: float, logger: logging.Logger) -> Iterator[Observer]:
    """Let those whom an instance names be told of the run inside the block, and of its end.

    Args:
        settings: the instance's.
        section: the section's name.
        started: when the script began, by the monotonic clock.
        logger: the script's.

    Raises:
        ConfigurationError: the hook is not there.
    """
    observer = Observer(section, _listeners(settings, section, logger), logger)
    token = _observer.set(observer)
    succeeded = False
    try:
        yield observer
        succeeded = True
    finally:
        _observer.reset(token)
        observer.run_ended(time.monotonic() - started, succeeded)


def find_hook(settings: Settings) -> Listener | None:
    """Return the hook that an instance names, or None.

    Raises:
        ConfigurationError: it is not there.
    """
    if settings.metrics_hook is None:
        return None
    hook: Listener = find_callable(settings.metrics_hook, settings.place("metrics_hook"))
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

    def __call__(self, event: Event) -> None:
        match event:
            case JobStarted():
                self._tally.started(event.job_class, event.waited)
            case JobEnded():
                self._tally.ended(event.job_class, event.outcome, event.seconds)
            case JobTakenOver():
                self._tally.taken_over()
            case ReadyCounted():
                self._tally.ready(event.ready, event.oldest_seconds)
            case RunEnded():
                self._tally.run_ended(event.seconds, event.succeeded)
                self._write()

    def _write(self) -> None:
        try:
            problem = self._tally.write()
        except (OSError, DirectoryError) as error:
            self._logger.warning("The metrics of this run could not be written: %s", error, extra=TOLD)
            return
        if problem:
            self._logger.warning("The counters of %s begin anew: %s", self._tally.path, problem, extra=TOLD)


def _class_of(attempt: Attempt) -> str:
    kind: type[Any] = type(attempt.runnable)
    return kind.__name__
