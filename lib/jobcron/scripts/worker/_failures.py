"""Runs of a worker that failed: when a section may be started again, and when the worker gives up."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

LONGEST_PAUSE = 60.0
"""The longest pause between two failing runs of a section, in seconds."""


MOST_TRIES = 4
"""How often a section is tried that never comes as far as a job, where somebody waits for its jobs to be done."""


class Failures:
    """Counts the failures of sections' runs.

    Args:
        give_up: after how many seconds in which all sections fail it is hopeless; infinite: somebody else decides.
        is_waited_for: whether somebody waits for the worker's end: hopeless sections are not started.
    """

    def __init__(self, give_up: float, *, is_waited_for: bool = False) -> None:
        self._give_up = give_up
        self._is_waited_for = is_waited_for
        self._counts: dict[str, int] = {}
        self._start_at: dict[str, float] = {}
        self._fruitless: dict[str, int] = {}
        self._since: float | None = None

    def note(self, section: str, *, is_killed: bool, is_mistake: bool = False) -> float:
        """Count a failed run; return how long the section is not started, in seconds.

        Args:
            section: its name.
            is_killed: whether a signal ended the process: the first time, its job is taken over at once.
            is_mistake: whether somebody has to mend something first, such as the configuration.
        """
        now = time.monotonic()
        count = self._counts[section] = self._counts.get(section, 0) + 1
        pause = 0.0 if is_killed and count == 1 else min(LONGEST_PAUSE, 2.0 ** (count - 1))
        self._start_at[section] = now + pause
        self._fruitless[section] = MOST_TRIES if is_mistake else self._fruitless.get(section, 0) + 1
        return pause

    def forget(self, section: str) -> None:
        """Note that a run of a section has come to an orderly end, or has run all jobs that were ready."""
        self._counts.pop(section, None)
        self._start_at.pop(section, None)
        self.began_job(section)

    def began_job(self, section: str) -> None:
        """Note that a run of a section has come as far as a job."""
        self._fruitless.pop(section, None)

    def may_start(self, section: str) -> bool:
        """Return whether a section may be started now."""
        is_given_up = self._is_waited_for and self._is_hopeless(section)
        return not is_given_up and time.monotonic() >= self._start_at.get(section, 0.0)

    def _is_hopeless(self, section: str) -> bool:
        """Return whether a section is not worth another try where somebody waits for the worker's end."""
        return self._fruitless.get(section, 0) >= MOST_TRIES

    def tried_again_at(self, sections: Iterable[str]) -> float | None:
        """Return when the first of these sections, which may not start now, may do so; None: none is worth it.

        Each death of a process in a job counts for that job's crash limit, so such tries come to an end.
        """
        return min((self._start_at[name] for name in sections if not self._is_hopeless(name)), default=None)

    @property
    def are_all(self) -> bool:
        """Whether all sections failed when `are_too_many` was last asked."""
        return self._since is not None

    def are_any(self) -> bool:
        """Return whether the last run of any section failed."""
        return bool(self._counts)

    def are_too_many(self, sections: Collection[str], *, is_any_at_work: bool) -> bool:
        """Return whether all sections have been failing for too long; one broken section is no reason.

        Args:
            sections: the names of all.
            is_any_at_work: whether a process runs jobs now; one that always has some succeeds at its end only.
        """
        if not sections or is_any_at_work or not self._counts.keys() >= set(sections):
            self._since = None
            return False
        if self._since is None:
            self._since = time.monotonic()
        return time.monotonic() - self._since >= self._give_up
