"""Which error leads to which outcome: groups, deadlocks, and classes that make no sense."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest

import fooapp
from erringapp import make
from instances import Instance
from jobcron import Interrupted, JobStatus, LeaseLost, RetryableJobError, SuspendJobException
from jobcron.database.trouble import Interruption, mark
from jobcron.errors import MissingCode
from jobcron.queue.error_rules import Counts, outcome_of, waiting_for_code
from jobcron.queue.outcome import (
    Deleted,
    Failed,
    Lost,
    NotStarted,
    Outcome,
    PoisonStopped,
    Postponed,
    Retry,
    SlowLane,
    Stopped,
    WaitsForCode,
)
from jobcron.queue.views import RunnableView


@pytest.mark.feature("LP-19", "LP-20", "LP-21", "LP-22")
@pytest.mark.parametrize(
    ("kind", "status", "reports"),
    [
        ("retries", JobStatus.WAITING, 0),
        ("users", JobStatus.FAILED, 0),
        ("suspensions", JobStatus.SUSPENDED, 0),
        ("a retry and a failure", JobStatus.FAILED, 1),
        ("a user error and a retry", JobStatus.FAILED, 1),
        ("a deadlock among others", JobStatus.WAITING, 0),
        ("recursion", JobStatus.FAILED, 1),
        ("memory", JobStatus.FAILED, 1),
        ("a key that nobody pressed", JobStatus.FAILED, 1),
        ("deep", JobStatus.FAILED, 1),
    ],
)
def test_a_group_of_errors_is_what_all_of_its_members_are(
    erring: Instance, kind: str, status: JobStatus, reports: int
) -> None:
    job, after = make(erring, kind), make(erring, "none")
    erring.run("erring")
    assert erring.row(job).status is status
    assert erring.row(after).status is JobStatus.COMPLETED
    assert len(erring.oopses()) == reports


@pytest.mark.feature("LP-21")
def test_a_group_of_retries_waits_for_the_longest(erring: Instance) -> None:
    job = make(erring, "retries")
    erring.run("erring")
    row = erring.row(job)
    assert row.date_started is not None
    assert (row.scheduled_start - row.date_started).total_seconds() == pytest.approx(3600, abs=60)


@pytest.mark.feature("LP-19")
@pytest.mark.parametrize(
    ("member", "outcome"), [(LeaseLost("taken over"), Lost), (Interrupted("stopped"), Stopped)]
)
def test_one_member_of_a_group_is_enough_for_an_attempt_that_was_lost_or_stopped(
    member: BaseException, outcome: type[Outcome]
) -> None:
    inner = BaseExceptionGroup("inner", [KeyError("one"), member])
    nobody = cast("RunnableView", None)  # the job is not asked
    assert type(outcome_of(BaseExceptionGroup("all", [ValueError("two"), inner]), nobody, Counts(), 0)) is outcome


@pytest.mark.feature("LP-21")
@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ([SuspendJobException("for now"), ValueError("broken")], Failed),
        ([SuspendJobException("for now"), RetryableJobError("later", seconds=1)], Failed),
        ([RetryableJobError("a", seconds=5, ignore_retry=True), RetryableJobError("b", seconds=7)], Postponed),
        ([RetryableJobError("a", seconds=5), RetryableJobError("b", seconds=7)], Failed),
    ],
)
def test_a_group_suspends_only_as_a_whole_and_one_member_can_ask_not_to_be_counted(
    members: list[BaseException], outcome: type[Outcome]
) -> None:
    job = cast("RunnableView", SimpleNamespace(user_error_types=(), retry_error_types=()))
    found = outcome_of(BaseExceptionGroup("all", members), job, Counts(max_retries=0), 0)
    assert (type(found), found.delay) == (outcome, 7.0 if outcome is Postponed else None)


@pytest.mark.feature("LP-21")
def test_an_attempt_counts_unless_the_job_is_not_the_reason_for_its_end() -> None:
    ends: list[type[Outcome]] = [*Outcome.__subclasses__(), Deleted, Postponed, PoisonStopped]
    uncounted = {Postponed, Stopped, SlowLane, WaitsForCode, NotStarted, PoisonStopped}
    assert {end for end in ends if not end.counted} == uncounted


@pytest.mark.feature("LP-21")
def test_an_error_that_asks_for_nothing_uses_up_a_retry() -> None:
    values = {"retry_delay": 100.0, "retry_backoff": 1.0, "retry_delay_limit": None, "retry_jitter": 0.0}
    job = cast("RunnableView", SimpleNamespace(user_error_types=(), retry_error_types=(KeyError,), **values))
    found = [type(outcome_of(KeyError("x"), job, Counts(n, max_retries=1), 0)) for n in (1, 2)]
    assert found == [Retry, Failed]


@pytest.mark.feature("LP-21")
@pytest.mark.parametrize(
    ("backoff", "delays"), [(3.0, [100.0, 300.0, 900.0]), (1.0, [100.0] * 3), (0.5, [100.0] * 3)]
)
def test_the_delays_of_retries_grow_from_the_first_one_and_never_shrink(
    backoff: float, delays: list[float]
) -> None:
    values = {"retry_delay": 100.0, "retry_backoff": backoff, "retry_delay_limit": None, "retry_jitter": 0.0}
    job = cast("RunnableView", SimpleNamespace(user_error_types=(), retry_error_types=(KeyError,), **values))
    found = [outcome_of(KeyError("x"), job, Counts(n, max_retries=None), 0).delay for n in (1, 2, 3)]
    assert found == pytest.approx(delays)


@pytest.mark.feature("LP-19")
def test_the_database_interrupts_a_job_ten_times_in_a_row_with_growing_pauses() -> None:
    error = OSError("deadlock")
    mark(error, Interruption.DEADLOCK)
    nobody = cast("RunnableView", None)  # the job is not asked
    found = [outcome_of(error, nobody, Counts(), interruptions) for interruptions in range(11)]
    assert [one.delay for one in found] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, None]
    assert {type(one) for one in found[:10]} == {Stopped}
    assert type(found[10]) is Failed


@pytest.mark.feature("LP-19")
@pytest.mark.parametrize(
    ("waited", "limit", "delay"),
    [(0.0, None, 60.0), (61.0, None, 61.0), (9000.0, None, 600.0), (59.0, 60.0, 60.0), (60.0, 60.0, None)],
)
def test_a_job_waits_for_code_as_long_again_as_it_has_waited_until_the_limit(
    waited: float, limit: float | None, delay: float | None
) -> None:
    outcome = waiting_for_code(MissingCode("a function", "this code lacks a function"), waited, limit)
    assert (type(outcome), outcome.delay) == (Failed if delay is None else WaitsForCode, delay)


def test_a_pressed_key_in_a_group_ends_the_run_and_puts_the_job_back(erring: Instance) -> None:
    job = make(erring, "a key pressed")
    with pytest.raises(KeyboardInterrupt):
        erring.run("erring")
    assert (erring.row(job).status, erring.row(job).attempt_count) == (JobStatus.WAITING, 0)


WRITE = ("write", "effect")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retry_delay", 60),
        ("retry_delay", Decimal(60)),
        ("retry_delay_limit", 60),
        ("time_limit", 60.0),
        ("user_error_types", fooapp.UserError),
    ],
)
def test_a_class_may_give_seconds_and_a_single_type(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(fooapp.ActJob, name, value)
    user, retried = instance.act(("raise", "user")), instance.act(("raise", "retry"))
    instance.run("act")
    assert instance.row(user).oops_id is None
    assert instance.events(retried)[0] == "retry"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retry_error_types", 7),
        ("retry_delay", "soon"),
        ("retry_delay", float("nan")),
        ("retry_delay", -1),
        ("retry_delay_limit", float("inf")),
        ("retry_backoff", None),
        ("retry_jitter", float("nan")),
    ],
)
def test_a_class_that_makes_no_sense_fails_its_jobs_and_no_run(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(fooapp.ActJob, name, value)
    job, neighbour = instance.act(("raise", "retry")), instance.act(WRITE)
    instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
    assert instance.row(neighbour).status is JobStatus.COMPLETED
    assert len(instance.oopses()) == 1
    assert name in str(instance.row(job).log)


def test_deadlocks_are_counted_apart_from_stops_and_only_in_a_row(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = instance.act(("raise", "deadlock"))
    for kind, detail in (("interrupted", "the run was stopped"), ("interrupted", "a deadlock"), ("requeued", "")):
        for _ in range(11):
            instance.query(
                "INSERT INTO jobcron_event (job, actor, kind, detail, lease_token) "
                "VALUES (:job, 'test', :kind, :detail, 0)",
                job=job,
                kind=kind,
                detail=detail,
            )
    instance.run("act")
    assert instance.row(job).status is JobStatus.WAITING
    for _ in range(10):
        instance.query("UPDATE jobcron_job SET scheduled_start = date_created")
        instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
