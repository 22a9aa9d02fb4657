"""Claims on jobs: a job's number and the token of its lease."""

from __future__ import annotations

from typing import NamedTuple

from jobcron.errors import LeaseLost


class Claim(NamedTuple):
    """A job that this runner has claimed.

    Attributes:
        id: the job's number.
        token: the fencing token of the claim.
        taken: when its lease began, or a little earlier, by the monotonic clock, in seconds.
    """

    id: int
    token: int
    taken: float = 0.0

    def __str__(self) -> str:
        return f"job {self.id}"


def lost(claim: Claim) -> LeaseLost:
    """Return the error for a job that is no longer ours."""
    return LeaseLost(f"job {claim.id} is not held under lease token {claim.token} any more")
