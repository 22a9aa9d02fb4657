"""Limits of channels, jobs in channels, and claims of them, for tests."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from fooapp import ActJob
from instances import Instance
from jobcron.database.tables import JobTypeRow
from jobcron.jobs.lease import Claim
from jobcron.jobs.moves.channels import set_limits
from jobcron.queue.claim import Claimant, claim, look_back

SOMEBODY = Claimant("somebody:1/a", 300.0)


def limit(instance: Instance, name: str, **limits: Any) -> None:
    """Commit limits of a channel."""
    with instance.database.begin() as connection:
        set_limits(connection, name, "a test", limits)


def take(
    instance: Instance, batch: int = 10, claimant: Claimant = SOMEBODY, job_class: type[Any] = ActJob
) -> list[int]:
    """Claim jobs as a run does at its start, commit, and return their numbers."""
    return [taken.id for taken in take_claims(instance, batch, claimant, job_class)]


def take_claims(
    instance: Instance, batch: int = 10, claimant: Claimant = SOMEBODY, job_class: type[Any] = ActJob
) -> list[Claim]:
    """Claim jobs as `take`, and return the claims."""
    with instance.database.begin() as connection:
        number = connection.scalar(select(JobTypeRow.id).where(JobTypeRow.name == job_class.type_name))
        assert number is not None
        dead = look_back(connection, number, claimant)
        return dead.claims or claim(connection, number, batch, claimant, dead.held)


def take_all(instance: Instance, claimant: Claimant = SOMEBODY, job_class: type[Any] = ActJob) -> list[int]:
    """Claim jobs until there is none that can be claimed, and return their numbers."""
    found: list[int] = []
    while taken := take(instance, 10, claimant, job_class):
        found += taken
    return found
