"""The shared row of a job: what it says of itself."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from instances import Instance
from jobcron import NoSession
from jobcron.testing import JobFactory


@pytest.mark.feature("LP-03")
def test_is_runnable_asks_for_status_due_time_expiry_and_lease(session: Session) -> None:
    job = JobFactory(session).makeJob()
    assert job.is_runnable
    assert job.is_pending
    for change in ("scheduled_start", "expires_at"):
        other = JobFactory(session).makeJob()
        shift = 1 if change == "scheduled_start" else -1
        setattr(other, change, other.date_created.replace(year=other.date_created.year + shift))
        session.flush()
        assert not other.is_runnable
    job.suspend()
    assert not job.is_runnable
    assert job.is_pending


@pytest.mark.feature("LP-03")
def test_a_job_whose_session_is_closed_says_so(instance: Instance) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob()
    with pytest.raises(NoSession, match="expected <Job 1> to be in a session"):
        job.suspend()
