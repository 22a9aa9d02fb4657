"""The boundary between jobs: what one leaves on a connection does not reach the next."""

from __future__ import annotations


class Boundary:
    """Counts the ends of jobs that use an engine's connections.

    Nothing is sent at a job's end. Each connection compares the count with the one of its last use.

    Attributes:
        passed: how often a job's code has ended.
    """

    def __init__(self) -> None:
        self.passed = 0

    def job_ended(self) -> None:
        """Record that a job's code has ended, or a part of it, such as its hook for failures."""
        self.passed += 1
