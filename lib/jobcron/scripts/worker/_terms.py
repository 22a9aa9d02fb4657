"""How a worker works: its options as a value."""

from __future__ import annotations

from random import uniform
from typing import NamedTuple

from jobcron.scripts.worker._rate import Rate

JITTER = 0.1
"""By how much of itself the time between two looks is shorter at times: many hosts do not ask in step."""


class Terms(NamedTuple):
    """The terms of a worker.

    Attributes:
        processes: how many processes run jobs at once.
        poll: seconds between two looks for work.
        linger: how long a process waits for more work of its section, in seconds.
        max_age: how long a process lives, in seconds; the run of its section is recorded then.
        max_jobs: how many jobs a process runs before another one takes its place; None: no limit.
        max_memory: the bytes of resident memory at which another process takes its place; None: no limit.
        rate: how often jobs may start.
        max_runtime: when the worker leaves, in seconds after its start; None: never.
        until_empty: whether it leaves when no section has work.
        is_notified: whether it hears of new jobs.
        give_up: after how many seconds in which no run of any section succeeded it leaves, with status 1.
    """

    processes: int
    poll: float
    linger: float
    max_age: float
    max_jobs: int | None
    max_memory: int | None
    rate: Rate
    max_runtime: float | None
    until_empty: bool
    is_notified: bool
    give_up: float

    def poll_seconds(self) -> float:
        """Return how long to wait before the next look."""
        return self.poll * uniform(1 - JITTER, 1)
