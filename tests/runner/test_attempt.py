"""An attempt: its facts, its clock, and how far its commit is."""

from __future__ import annotations

import time
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from fooapp import ActJob
from instances import Instance
from jobcron.database.trouble import mark_refusal
from jobcron.errors import DatabaseUnavailable, Interrupted, LeaseLost, TimeLimitExceeded
from jobcron.jobs.lease import Claim
from jobcron.queue.claim import Claimant, claim
from jobcron.queue.loading import Claimed, load_claimed
from jobcron.queue.views import RunnableView, SourceView
from jobcron.runner._fence import Commit
from jobcron.runner.attempt import Attempt, renew

LEASE_SECONDS = 300.0


class Work:
    """A job of no class of ours."""


def attempt_of(job: object, session: Any = None, **options: Any) -> Attempt:
    """Return an attempt at a job that has no row."""
    return Attempt(Claimed(Claim(3, 7, time.monotonic()), RunnableView(job)), session, LEASE_SECONDS, **options)


@pytest.fixture
def claimed(instance: Instance) -> Any:
    """Return an attempt at a claimed job, in a session."""
    number = instance.act()
    with instance.database.begin() as connection:
        type_id = instance.row(number).type_id
        (taken,) = claim(connection, type_id, 1, Claimant("a test", LEASE_SECONDS))
    with instance.database.session() as session:
        loaded = load_claimed(SourceView(ActJob), session, taken)
        session.commit()
        yield Attempt(loaded, session, LEASE_SECONDS)


def test_facts_do_not_change() -> None:
    attempt = attempt_of(Work())
    assert (attempt.name, attempt.facts.class_name, attempt.token) == ("Work (ID 3)", "Work", 7)
    with pytest.raises(FrozenInstanceError):
        attempt.facts.waited = 0.0  # type: ignore[misc]


def test_a_job_without_a_row_has_the_counts_of_a_first_attempt() -> None:
    attempt = attempt_of(Work())
    assert attempt.counts == (1, 0, 0)
    assert attempt.facts.waited is None


def test_counts_and_waiting_time_are_those_of_the_row(claimed: Attempt) -> None:
    assert claimed.counts == (1, 0, 1)
    assert claimed.facts.waited is not None
    assert claimed.job.row is not None
    assert claimed.facts.uuid == claimed.job.row.uuid


def test_the_counts_begin_again_after_a_task_but_the_limit_of_retries_stays(
    instance: Instance, claimed: Attempt
) -> None:
    claimed.counts = claimed.counts._replace(attempts=4, crashes=2, max_retries=5)
    assert claimed.counts.ended == 2
    instance.query("UPDATE jobcron_job SET attempt_count = 4, crash_count = 2")
    claimed.checkpoint()
    assert claimed.counts == (4, 2, 5)
    claimed.end_task()
    assert claimed.counts == (1, 0, 5)
    row = instance.row(claimed.claim.id)
    assert (row.attempt_count, row.crash_count) == (1, 0)


def test_the_first_interruption_stays() -> None:
    clock = attempt_of(Work()).clock
    first, second = TimeLimitExceeded("too long"), Interrupted("stopped")
    clock.interrupt(first)
    clock.interrupt(second)
    assert clock.interrupted is first
    clock.withdraw(second)
    assert clock.interrupted is first
    clock.withdraw(first)
    assert clock.interrupted is None


def test_a_new_limit_forgets_what_interrupted_the_job_before() -> None:
    clock = attempt_of(Work(), time_limit=5.0).clock
    assert clock.deadline is not None
    assert clock.is_overdue(clock.deadline)
    clock.interrupt(TimeLimitExceeded("too long"))
    clock.limit_to(None)
    assert [clock.interrupted, clock.deadline] == [None, None]
    assert not clock.is_overdue(1e12)


def test_a_lease_is_renewed_after_a_third_of_it_and_sooner_where_that_failed() -> None:
    clock = attempt_of(Work()).clock
    clock.renewed()
    assert clock.renew_at == pytest.approx(time.monotonic() + LEASE_SECONDS / 3, abs=5)
    clock.renewal_failed()
    assert clock.renew_at == pytest.approx(time.monotonic() + 5, abs=4)


def test_the_commit_of_the_work_passes_no_fence_and_any_other_does() -> None:
    attempt, connection, other = attempt_of(Work()), object(), object()
    attempt.transaction_began(connection)  # type: ignore[arg-type]

    def needs_fence(asked: object) -> bool:
        return attempt.needs_fence(asked)  # type: ignore[arg-type]

    assert (attempt.commit, needs_fence(connection), needs_fence(other)) == (Commit.NOT_TRIED, True, False)
    attempt.commit_begins()
    assert not needs_fence(connection)
    attempt.commit_returned()
    assert (attempt.commit, needs_fence(connection)) == (Commit.TRIED, True)


def test_an_outcome_that_is_written_stays_written_when_the_commit_returns() -> None:
    attempt = attempt_of(Work())
    attempt.commit_begins()
    attempt.outcome_is_written()
    attempt.commit_returned()
    assert attempt.commit is Commit.WRITTEN


class Refusal(Exception):
    """What the driver raises where a lock is not to be had."""

    pgcode = "55P03"


def test_only_trouble_of_the_job_s_own_transaction_is_noted() -> None:
    attempt, own, other = attempt_of(Work()), object(), object()
    trouble, mistake = (OperationalError("SELECT 1", {}, Refusal()) for _ in range(2))
    mark_refusal(trouble)

    def noted(connection: object, error: BaseException) -> BaseException | None:
        attempt.transaction_failed(connection, error)  # type: ignore[arg-type]
        return attempt.trouble

    attempt.transaction_began(own)  # type: ignore[arg-type]
    assert noted(own, mistake) is None  # of the job's statement
    assert noted(other, trouble) is None
    assert noted(own, trouble) is trouble
    attempt.transaction_began(own)  # type: ignore[arg-type]
    assert noted(own, mistake) is None


def test_a_renewal_says_whether_the_job_is_ours(instance: Instance, claimed: Attempt) -> None:
    claimed.note_progress(40)
    assert renew(instance.database, claimed)
    assert instance.row(claimed.claim.id).progress == 40
    with instance.database.begin() as connection:
        connection.exec_driver_sql("UPDATE jobcron_job SET lease_token = lease_token + 1")
    assert not renew(instance.database, claimed)
    with pytest.raises(LeaseLost):
        claimed.checkpoint()


def test_a_renewal_that_fails_is_due_again_soon(claimed: Attempt) -> None:
    class Away:
        def begin(self) -> Any:
            raise DatabaseUnavailable("away")

    with pytest.raises(DatabaseUnavailable):
        renew(Away(), claimed)  # type: ignore[arg-type]
    assert claimed.clock.renew_at < time.monotonic() + 6
