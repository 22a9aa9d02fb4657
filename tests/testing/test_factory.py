"""A session for a test, and jobs in it."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from jobcron import JobStatus
from jobcron.testing import JobFactory


@pytest.mark.feature("LP-30")
@pytest.mark.parametrize("status", list(JobStatus), ids=lambda status: status.name)
def test_the_factory_makes_jobs_in_every_status_that_the_database_takes(
    session: Session, status: JobStatus
) -> None:
    job = JobFactory(session).makeJob(status, requester="me")
    session.refresh(job)
    assert (job.status, job.requester) == (status, "me")
