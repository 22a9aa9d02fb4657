"""A claim on a job: its number and the token of its lease."""

from __future__ import annotations

from typing import NamedTuple

from jobcron.errors import LeaseLost


class Claim(NamedTuple):
    """A job that is ours.

    Attributes:
        id: its number.
        token: the lease token that says so.
        taken: when its lease began, or a little earlier, by the monotonic clock.
    """

    id: int
    token: int
    taken: float = 0.0

    def __str__(self) -> str:
        return f"job {self.id}"


def lost(claim: Claim) -> LeaseLost:
    """Return the error that says that a job is not ours any more."""
    return LeaseLost(f"job {claim.id} is not held under lease token {claim.token} any more")
