"""A worker's row, by which people see it, and its metrics: nothing decides by them whether a process lives."""

from __future__ import annotations

import logging
import os
import time

from jobcron._version import __version__
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.worker_metrics import WorkerMetrics
from jobcron.scripts.worker._ear import Ear, Share
from jobcron.scripts.worker._lookout import Lookout
from jobcron.scripts.worker._terms import Terms

SIGN_SECONDS = 10.0
"""How often the row says that the worker is alive."""

SLACK_SECONDS = 50.0
"""How much later than expected a sign may be."""

FORGET_EACH = 30
"""Instead of every so many signs, the first one included, the rows of the dead are removed."""

KEPT_SECONDS = 3600.0
"""How long the row of a worker stays that has fallen silent."""


class Presence:
    """Says that the worker is there, and what it does; at most one short statement at a time.

    Args:
        lookout: has the connections; one that is away is left alone.
        family: what the names begin with under which the worker's processes claim: see `holders.new_name`.
        sections: the names of the worker's sections.
        terms: the worker's; signs are not more frequent than its looks.
        metrics: the worker's.
        ear: learns the worker's share of the jobs of which it hears.
        logger: the worker's log.
    """

    def __init__(
        self,
        lookout: Lookout,
        family: str,
        sections: list[str],
        terms: Terms,
        metrics: WorkerMetrics,
        ear: Ear,
        logger: logging.Logger,
    ) -> None:
        self._lookout = lookout
        self._metrics = metrics
        self._logger = logger
        self._started = time.monotonic()
        self._interval = max(SIGN_SECONDS, terms.poll)
        host = os.uname().nodename
        self._facts: dict[str, object] = {
            "name": f"{host}:{os.getpid()}/{family}",
            "host": host,
            "pid": os.getpid(),
            "version": __version__,
            "sections": " ".join(sorted(sections)),
            "most_processes": terms.processes,
            "silence": self._interval + SIGN_SECONDS + SLACK_SECONDS,
            "minus_kept": -KEPT_SECONDS,
        }
        self._signs = 0
        self._sign_at = 0.0
        self._has_failed = False
        self._ear = ear
        self._was_leaving = False

    def seconds_left(self) -> float:
        """Return how long it is until the next sign is due."""
        return max(0.0, self._sign_at - time.monotonic())

    def sign_if_due(self, processes: int, *, is_leaving: bool) -> None:
        """Give a sign of life if one is due.

        Args:
            processes: how many processes there are now.
            is_leaving: whether the worker starts nothing any more.
        """
        has_changed = not self._signs or is_leaving != self._was_leaving
        if self.seconds_left() and not has_changed:
            if self._ear.has_heard_of_worker:
                self._count_others()
            return
        self._sign_at = time.monotonic() + self._interval
        self._signs += 1
        self._metrics.write(processes)
        if self._signs % FORGET_EACH == 2 and not has_changed:
            self._tell("worker_forgets", {})
            return
        age = time.monotonic() - self._started
        self._tell("worker_sign", {"processes": processes, "is_leaving": int(is_leaving), "minus_age": -age})
        self._was_leaving = is_leaving
        if has_changed and self._ear.hears:
            self._lookout.ask("worker_tells", {})
        self._count_others()

    def leave(self) -> None:
        """Remove the row, if there is one, and the metrics."""
        if self._signs:
            self._metrics.remove()
            self._tell("worker_leaves", {})
            if self._ear.hears and not self._was_leaving:
                self._lookout.ask("worker_tells", {})

    def _count_others(self) -> None:
        """Learn the worker's share; if the database does not tell, all workers look for all jobs."""
        self._ear.has_heard_of_worker = False
        if self._ear.hears:
            others, before = self._lookout.ask("worker_share", self._facts) or (0, 0)
            assert isinstance(others, int)
            assert isinstance(before, int)
            self._ear.share = Share(before, 1 + others)

    def _tell(self, statement: str, values: dict[str, object]) -> None:
        wrong = self._lookout.tell(statement, {**self._facts, **values})
        if wrong is None:
            self._has_failed = False
        elif self._lookout.is_answered and not self._has_failed:
            text = "For now `jobcron workers` may not show this worker: %s"
            self._logger.info(text, " ".join(wrong.split()), extra=NO_OOPS)
            self._has_failed = True
