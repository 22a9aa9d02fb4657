"""The statuses of a job: their values, their legal moves as the database guards them, and their groups."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from instances import Instance
from jobcron import Job, JobStatus
from jobcron.testing import JobFactory
from moves import LEGAL, MOVES

W, R, C, F, S, X, E, B = JobStatus


@pytest.mark.feature("LP-02")
def test_statuses_have_launchpads_values_and_texts_for_people() -> None:
    assert [s.value for s in JobStatus] == list(range(8))
    assert [s.name for s in JobStatus][:5] == ["WAITING", "RUNNING", "COMPLETED", "FAILED", "SUSPENDED"]
    assert all(s.title == s.name.capitalize() and s.description.endswith(".") for s in JobStatus)


@pytest.mark.feature("LP-02")
def test_the_database_lets_legal_moves_pass_and_refuses_all_others(instance: Instance) -> None:
    with instance.session() as session:
        factory = JobFactory(session)
        jobs = {pair: factory.makeJob(pair[0]).id for pair in MOVES}
    passed = {pair for pair in MOVES if _move_in_sql(instance, jobs[pair], pair[1])}
    assert passed == {(a, b) for a, targets in LEGAL.items() for b in targets}


def _move_in_sql(instance: Instance, job: int, requested: JobStatus) -> bool:
    finished = "date_created" if requested in (C, F, X, E) else "NULL"
    leased = "lease_expires = date_created, lease_token = lease_token + 1," if requested is R else ""
    try:
        instance.query(
            f"UPDATE jobcron_job SET {leased} date_finished = {finished}, status = :status WHERE id = :id",
            id=job,
            status=int(requested),
        )
    except IntegrityError:
        return False
    return True


@pytest.mark.feature("LP-02")
@pytest.mark.parametrize(
    "change",
    [
        "lease_token = lease_token - 1",
        "status = 8",
        "status = 2",  # without date_finished
        "lease_expires = NULL",
        "attempt_count = -1",
    ],
)
def test_the_database_refuses_a_running_row_that_makes_no_sense(instance: Instance, change: str) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(R).id
    with pytest.raises(DatabaseError):
        instance.query(f"UPDATE jobcron_job SET {change} WHERE id = {job}")
    assert instance.row(job).status is R


@pytest.mark.feature("LP-02")
def test_a_claim_needs_a_greater_token_than_any_before(instance: Instance) -> None:
    with instance.session() as session:
        job = JobFactory(session).makeJob(W).id
    with pytest.raises(IntegrityError):
        instance.query(f"UPDATE jobcron_job SET status = 1, lease_expires = date_created WHERE id = {job}")


def test_the_status_cannot_be_assigned(session: Session) -> None:
    job = JobFactory(session).makeJob()
    with pytest.raises(AttributeError):
        job.status = C
    assert session.scalars(select(Job).where(Job.status == W)).all() == [job]


@pytest.mark.feature("LP-02", "LP-03")
@pytest.mark.parametrize("status", list(JobStatus), ids=lambda status: status.name)
def test_pending_is_what_has_not_ended(session: Session, status: JobStatus) -> None:
    assert JobFactory(session).makeJob(status).is_pending == (status in (W, R, S, B))
