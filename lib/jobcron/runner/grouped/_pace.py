"""How many jobs share the next transaction, and which jobs run one by one."""

from __future__ import annotations

import time

GROUP_JOBS = 500
"""The most jobs of a group."""

GROUP_SECONDS = 0.05
"""How long a group runs before it ends: others wait so long for its rows, or on SQLite to write at all."""

LOOK_SECONDS = 30.0
"""How often some jobs run in the usual way, which looks for dead processes, expired jobs and channels."""

STEADY_JOBS = 16
"""The size of a group whose success tells that failures are rare."""


class Pace:
    """Decides the size of groups: they begin with one job, double, and after a failure jobs run one by one.

    Args:
        largest: the most jobs of a group.

    Attributes:
        size: how many jobs the next group has at most.
    """

    def __init__(self, largest: int) -> None:
        self.size = 1
        self._largest = largest
        self._failures = 0
        self._alone_until = 1  # the first job, with which it is looked for what others have left
        self._look_at = time.monotonic() + LOOK_SECONDS

    def is_alone(self, ran: int) -> bool:
        """Return whether the next jobs run one by one.

        Args:
            ran: how many jobs this run has ended.
        """
        if ran < self._alone_until:
            return True
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_SECONDS
        return True

    def succeeded(self, jobs: int, *, is_cut: bool) -> None:
        """Note how many jobs a group has completed, and whether its time was over before it had run all."""
        if jobs >= STEADY_JOBS:
            self._failures = 0
        self.size = jobs if is_cut else min(self._largest, max(self.size, jobs) * 2)

    def failed(self, ran: int, jobs: int) -> None:
        """Note that a group failed; the more often groups fail, the longer jobs run one by one.

        Args:
            ran: see `is_alone`.
            jobs: how many of its jobs had begun.
        """
        self._failures += 1
        self.size = 1
        self.run_alone(ran, max(jobs, min(self._largest, 2**self._failures)))

    def run_alone(self, ran: int, jobs: int) -> None:
        """Let this many jobs run one by one."""
        self._alone_until = max(self._alone_until, ran + jobs)
