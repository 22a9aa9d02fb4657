"""The boundary between jobs: what one leaves on a connection does not reach the next."""

from __future__ import annotations


class Boundary:
    """Counts the ends of jobs that use an engine's connections, and how often one was taken.

    Nothing is sent at a job's end. Each connection compares the count with the one of its last use.

    Attributes:
        passed: how often a job's code has ended.
        taken: how often a connection was taken from the engine's pool.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.taken = 0

    def connection_taken(self, *connection: object) -> None:
        """Record that a connection was taken; for the pool's event ``checkout``."""
        self.taken += 1

    def job_ended(self) -> None:
        """Record that a job's code has ended, or a part of it, such as its hook for failures."""
        self.passed += 1
