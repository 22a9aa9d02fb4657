"""Leases: held by one, free when they are past."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from jobcron import ConfigurationError, InvalidDuration, LeaseHeld
from jobcron.queue.views import SourceView
from jobcron.testing import JobFactory


@pytest.mark.feature("LP-03")
def test_a_lease_is_held_by_one_and_a_stale_one_is_free(session: Session) -> None:
    job = JobFactory(session).makeJob()
    job.acquireLease(-300)
    assert job.getTimeout() == 0
    job.acquireLease(60)
    with pytest.raises(LeaseHeld, match=r"^Lease is already held\.$"):
        job.acquireLease()
    assert 55 <= job.getTimeout() <= 60
    assert not job.is_runnable


def test_no_lease_is_longer_than_a_week(session: Session) -> None:
    job = JobFactory(session).makeJob()
    with pytest.raises(ValueError, match="expected a lease of at most 604800 seconds"):
        job.acquireLease(8 * 86400.0)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_a_lease_has_a_length(session: Session, seconds: float) -> None:
    with pytest.raises(
        InvalidDuration, match="expected duration of a lease to be a timedelta or a number of seconds"
    ):
        JobFactory(session).makeJob().acquireLease(seconds)


def test_a_lease_can_be_ended(session: Session) -> None:
    job = JobFactory(session).makeJob()
    job.acquireLease(60)
    job.endLease()
    assert (job.getTimeout(), job.lease_expires, job.is_runnable) == (0, None, True)


@pytest.mark.parametrize(
    ("seconds", "error", "message"),
    [
        (8 * 86400.0, ConfigurationError, "Source to be more than 0 and at most 604800 seconds"),
        (-1.0, InvalidDuration, "expected lease_duration to be .*, longer than 0"),
    ],
)
def test_a_source_whose_leases_have_no_sensible_length_is_refused(
    seconds: float, error: type[Exception], message: str
) -> None:
    class Source:
        """Gives leases of this length."""

        lease_duration = seconds

    with pytest.raises(error, match=message):
        SourceView(Source()).lease_seconds  # noqa: B018
