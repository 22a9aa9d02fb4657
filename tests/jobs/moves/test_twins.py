"""Jobs with the same unique key: who holds it, and which one supersedes another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron import DuplicateJob, Job, JobStatus
from jobcron.jobs.lease import Claim
from jobcron.jobs.moves.bulk_moves import cancel, change_jobs
from jobcron.queue.claim import Claimant, claim_one
from jobcron.queue.finish import set_aside
from jobcron.queue.outcome import NotStarted, Outcome, Retry, Stopped, Suspended

W, X, E, S = JobStatus.WAITING, JobStatus.CANCELLED, JobStatus.EXPIRED, JobStatus.SUSPENDED
DO: dict[str, Any] = {"do": [["write", "effect"]]}
HOUR = timedelta(hours=1)


def acquired(instance: Instance, foo: int, metadata: dict[str, Any] = DO, **values: Any) -> int:
    """Commit what `acquire` returns, and return its number."""
    with instance.session() as session:
        return int(ActJob.acquire(foo_id=foo, unique_key="k", metadata=metadata, session=session, **values).id)


def new_foo(instance: Instance) -> int:
    """Commit a foo, and return its number."""
    with instance.session() as session:
        return instance.foo(session).id


def claimed(instance: Instance, job: int) -> Claim:
    """Claim a job, as a run does."""
    with instance.database.begin() as connection:
        (claim,) = claim_one(connection, job, Claimant("a run", 300.0))
    return claim


def ended(instance: Instance, claim: Claim, outcome: Outcome) -> JobStatus:
    """Write the end of an attempt, and return the status of the job."""
    assert set_aside(instance.database, claim, outcome) is not None
    return instance.row(claim.id).status


def change(instance: Instance, job: int, **values: Any) -> None:
    """Commit other values of a job's row."""
    with instance.session() as session:
        row = session.get_one(Job, job)
        for name, value in values.items():
            setattr(row, name, value)


OUTCOMES = {"a retry": Retry(delay=60.0), "an interruption": Stopped(), "a suspension": Suspended()}


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize("outcome", [*OUTCOMES.values(), NotStarted()], ids=[*OUTCOMES, "a release"])
def test_a_twin_that_does_the_same_work_no_later_supersedes_a_job(instance: Instance, outcome: Outcome) -> None:
    foo = new_foo(instance)
    claim = claimed(instance, acquired(instance, foo))
    twin = acquired(instance, foo)
    assert twin != claim.id
    assert ended(instance, claim, outcome) is X
    assert acquired(instance, foo) == twin


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize("outcome", [*OUTCOMES.values(), NotStarted()], ids=[*OUTCOMES, "a release"])
@pytest.mark.parametrize(
    "other",
    [
        {"metadata": {"do": [["write", "something else"]]}},
        {"metadata": {"do": [["write", "effect"]], "flag": 1}},
        {"foo": 1},
        {"scheduled_start": datetime.now(UTC) + 30 * 24 * HOUR},
        {"expires_at": datetime.now(UTC) + HOUR},
        {"priority": 11},
        {"queue_name": "nobody's"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_job_waits_beside_a_twin_that_would_not_do_its_work_by_then(
    instance: Instance, other: dict[str, Any], outcome: Outcome
) -> None:
    foo = new_foo(instance)
    claim = claimed(instance, acquired(instance, foo))
    about = new_foo(instance) if other.get("foo") else foo
    twin = acquired(instance, about, **{name: value for name, value in other.items() if name != "foo"})
    assert ended(instance, claim, outcome) is outcome.status
    assert instance.row(twin).status is W
    assert acquired(instance, foo) == twin  # the job has begun, or has given up its key


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize("move", ["suspend", "acquireLease"])
def test_a_twin_that_an_operator_keeps_back_supersedes_nothing(instance: Instance, move: str) -> None:
    foo = new_foo(instance)
    claim = claimed(instance, acquired(instance, foo))
    twin = acquired(instance, foo)
    with instance.session() as session:
        getattr(session.get_one(Job, twin), move)()
    assert ended(instance, claim, Stopped()) is W
    instance.run("act")
    assert instance.ledger() == [(claim.id, 1, "effect")]


@pytest.mark.feature("LP-09")
def test_a_job_that_has_committed_something_is_not_superseded(instance: Instance) -> None:
    foo = new_foo(instance)
    metadata = {"do": [["write", "first"], ["checkpoint", ""], ["raise", "retry"]]}
    job = acquired(instance, foo, metadata)
    claim = claimed(instance, job)
    instance.query("UPDATE jobcron_job SET begun_token = lease_token WHERE id = :id", id=job)  # see checkpoint.sql
    acquired(instance, foo, metadata)
    assert ended(instance, claim, Retry(delay=60.0)) is W


@pytest.mark.feature("LP-09")
def test_of_jobs_that_are_retried_for_one_key_one_is_left(instance: Instance) -> None:
    foo = new_foo(instance)
    first = acquired(instance, foo)
    assert ended(instance, claimed(instance, first), Retry(delay=60.0)) is W
    for _ in range(2):  # while a service is down, say
        job = acquired(instance, foo)
        assert job != first
        assert ended(instance, claimed(instance, job), Retry(delay=60.0)) is X


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize("way", ["create", "createMultiple", "acquire"])
def test_a_job_that_has_expired_holds_no_key(instance: Instance, way: str) -> None:
    foo = new_foo(instance)
    old = acquired(instance, foo)
    change(instance, old, expires_at=datetime.now(UTC) - HOUR)
    values: dict[str, Any] = {"foo_id": foo, "unique_key": "k", "metadata": DO}
    with instance.session() as session:
        if way == "createMultiple":
            ActJob.createMultiple([values], session=session)
        else:
            getattr(ActJob, way)(session=session, **values)
    assert [row.status for row in instance.rows()] == [E, W]
    assert instance.events(old) == ["expired"]
    with instance.session() as session, pytest.raises(DuplicateJob):
        ActJob.create(session=session, **values)


@pytest.mark.feature("LP-09")
def test_a_job_that_expires_later_or_is_suspended_holds_its_key(instance: Instance) -> None:
    foo = new_foo(instance)
    job = acquired(instance, foo, expires_at=datetime.now(UTC) + HOUR)
    assert acquired(instance, foo) == job
    with instance.session() as session:
        session.get_one(Job, job).suspend()
    change(instance, job, expires_at=datetime.now(UTC) - HOUR)  # an operator's resume() clears it
    assert acquired(instance, foo) == job
    assert instance.row(job).status is S


@pytest.mark.feature("LP-02")
@pytest.mark.parametrize("has_begun", [True, False])
def test_the_history_of_a_cancelled_job_says_whether_it_had_begun(instance: Instance, has_begun: bool) -> None:
    by_hand, many = (instance.act() for _ in "12")
    for job in (by_hand, many) if has_begun else ():
        assert ended(instance, claimed(instance, job), Stopped()) is W
    with instance.session() as session:
        session.get_one(Job, by_hand).cancel()
        change_jobs(session.connection(), [many], cancel(), "me")
    found = instance.query("SELECT detail FROM jobcron_event WHERE kind = 'cancelled'")
    assert found == [("was Waiting" + (", had begun: what it has committed stays" if has_begun else ""),)] * 2
