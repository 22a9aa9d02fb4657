"""Leases: held by one, free when they are past."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from jobcron import LeaseHeld
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
