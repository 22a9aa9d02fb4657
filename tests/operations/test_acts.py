"""Acts on jobs and selections: in batches, with partial results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from instances import Instance
from jobcron import InvalidJobData, Job, JobStatus
from jobcron.database.tables import Renewal
from jobcron.operations import acts
from jobcron.operations.acts import Act, Bulk, Outcome, Refusal, act_on_jobs, act_on_selection, count_meant
from jobcron.operations.listing import Count
from jobcron.operations.selection import Selection
from jobcron.testing import JobFactory
from runner_processes import Gate, started

W, R, C, F, S, X, E, B = JobStatus


def make(instance: Instance, *statuses: JobStatus) -> list[int]:
    """Commit a job with each of these statuses, and return their numbers."""
    with instance.session() as session:
        return [JobFactory(session).makeJob(status).id for status in statuses]


def act(instance: Instance, what: Act, selection: Selection, **how: object) -> Outcome:
    """Act on a selection, and return what became of all its jobs."""
    bulk = Bulk(actor="ada", pause=0, **how)  # type: ignore[arg-type]
    outcomes = list(act_on_selection(instance.database, what, selection, bulk))
    moved = tuple(number for outcome in outcomes for number in outcome.moved)
    return Outcome(moved, tuple(refusal for outcome in outcomes for refusal in outcome.refused))


def statuses(instance: Instance) -> list[JobStatus]:
    return [row.status for row in instance.rows()]


@pytest.mark.feature("OCQ-05")
def test_a_selection_is_acted_on_in_batches_each_in_its_own_transaction(instance: Instance) -> None:
    make(instance, F, F, F, C, F, F, W)
    commits: list[object] = []
    event.listen(instance.database.engine, "commit", commits.append)
    done = act(instance, acts.retry(), Selection(), batch=2)
    assert (done.moved, done.refused) == ((5, 6, 2, 3, 1), ())  # the newest batch first
    assert len(commits) >= 3
    assert statuses(instance) == [W, W, W, C, W, W, W]


@pytest.mark.feature("OCQ-05")
def test_what_cannot_be_moved_is_told_and_the_rest_is_moved(instance: Instance) -> None:
    failed, waiting, completed = make(instance, F, W, C)
    done = act(instance, acts.set_done(), Selection(ids=(failed, waiting, completed, 99, failed)))
    assert set(done.moved) == {failed, waiting}
    assert set(done.refused) == {Refusal(completed, "it is COMPLETED"), Refusal(99, "there is no such job")}


@pytest.mark.parametrize(
    ("what", "status", "after"),
    [
        (acts.retry(), F, W),
        (acts.resume(), S, W),
        (acts.cancel(), W, X),
        (acts.suspend(), W, S),
        (acts.set_done(), F, C),
    ],
    ids=lambda value: value.name,
)
def test_a_selection_without_statuses_means_the_usual_ones(
    instance: Instance, what: Act, status: JobStatus, after: JobStatus
) -> None:
    make(instance, *JobStatus)
    act(instance, what, Selection(types=("testing.JOB",)))
    found = statuses(instance)
    assert found[status] is after
    assert found[R] is R
    assert found[C] is C
    act(instance, what, Selection(ids=(1 + R,)))  # who names a job means it, whatever its status
    assert statuses(instance)[R] is (R if what.name == "resume" else after)


def test_a_dry_run_tells_the_same_and_changes_nothing(instance: Instance) -> None:
    failed, waiting = make(instance, F, W)
    dry = act(instance, acts.retry(), Selection(ids=(failed, waiting)), is_dry=True)
    assert statuses(instance) == [F, W]
    assert instance.events(failed) == []
    assert act(instance, acts.retry(), Selection(ids=(failed, waiting))) == dry


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_a_limit_is_kept_to_the_job(instance: Instance, limit: int) -> None:
    make(instance, F, F, F, F)
    done = act(instance, acts.retry(), Selection(statuses=(F,)), batch=2, limit=limit)
    assert len(done.moved) == min(limit, 4)
    assert statuses(instance).count(W) == min(limit, 4)


def test_whoever_stops_keeps_what_was_done(instance: Instance) -> None:
    make(instance, F, F, F)
    first = next(iter(act_on_selection(instance.database, acts.retry(), Selection(statuses=(F,)), Bulk(batch=1))))
    assert first.moved == (3,)
    assert statuses(instance) == [F, F, W]


@pytest.mark.feature("OCQ-05")
def test_due_times_are_spread_evenly_against_a_stampede(instance: Instance) -> None:
    make(instance, *([F] * 200))
    before = datetime.now(UTC)
    act(instance, acts.retry(timedelta(minutes=10)), Selection(statuses=(F,)), batch=50)
    starts = sorted((row.scheduled_start - before).total_seconds() for row in instance.rows())
    assert starts[0] > -2
    assert starts[-1] < 610
    by_minute = [sum(60 * minute <= start < 60 * minute + 60 for start in starts) for minute in range(10)]
    assert min(by_minute) >= 15, by_minute
    assert max(by_minute) <= 25, by_minute


def test_postponing_brings_no_job_forward(instance: Instance) -> None:
    (number,) = make(instance, W)
    act(instance, acts.postpone(timedelta(days=2)), Selection(ids=(number,)))
    due = instance.row(number).scheduled_start
    act(instance, acts.postpone(timedelta(hours=1)), Selection(ids=(number,)))
    assert instance.row(number).scheduled_start == due


def test_a_running_job_that_is_cancelled_keeps_the_progress_that_its_keeper_wrote(instance: Instance) -> None:
    (number,) = make(instance, R)
    token = instance.row(number).lease_token
    with instance.session() as session:
        session.add(
            Renewal(job_id=number, lease_token=token, lease_expires=datetime(2100, 1, 1, tzinfo=UTC), progress=70)
        )
    act(instance, acts.cancel(), Selection(ids=(number,)))
    assert (instance.row(number).status, instance.row(number).progress) == (X, 70)


@pytest.mark.feature("OCQ-05")
def test_jobs_are_postponed_and_run_at_once(instance: Instance) -> None:
    number = instance.act()
    act(instance, acts.postpone(timedelta(hours=2)), Selection(ids=(number,)))
    left = instance.row(number).scheduled_start - datetime.now(UTC)
    assert timedelta(hours=1, minutes=59) < left < timedelta(hours=2, minutes=1)
    act(instance, acts.run_now(), Selection(ids=(number,)))
    instance.run("act")
    assert instance.row(number).status is C
    when = datetime(2040, 1, 1, tzinfo=UTC)
    later = instance.act()
    act(instance, acts.postpone_until(when), Selection(ids=(later,)))
    assert instance.row(later).scheduled_start == when


def test_a_job_that_is_run_at_once_loses_a_lease_that_was_taken_by_hand(instance: Instance) -> None:
    number = instance.act()
    with instance.session() as session:
        session.get_one(Job, number).acquireLease(3600)
    act(instance, acts.run_now(), Selection(ids=(number,)))
    assert instance.row(number).lease_expires is None


def test_an_act_can_be_part_of_a_transaction_of_the_application(instance: Instance) -> None:
    (number,) = make(instance, F)
    with instance.database.engine.connect() as connection:
        assert act_on_jobs(connection, acts.retry(), [number], actor="web:ada").moved == (number,)
        connection.rollback()
    assert statuses(instance) == [F]
    with instance.database.begin() as connection:
        act_on_jobs(connection, acts.retry(), [number], actor="web:ada", reason="mended")
    ((actor, detail),) = instance.query("SELECT actor, detail FROM jobcron_event")
    assert (actor, detail) == ("web:ada", "attempt_count was 0, crash_count was 0; mended")


def test_what_is_meant_is_counted_first(instance: Instance) -> None:
    make(instance, F, F, W, C)
    with instance.database.begin(writing=False) as connection:
        assert count_meant(connection, acts.retry(), Selection()) == Count(2, is_exact=True)
        assert count_meant(connection, acts.cancel(), Selection(statuses=(F,))) == Count(2, is_exact=True)


def test_values_that_no_column_can_hold_are_refused() -> None:
    with pytest.raises(InvalidJobData, match="expected priority of jobs to be"):
        acts.set_priority(2**40)
    with pytest.raises(InvalidJobData, match="expected queue_name of jobs to be"):
        acts.move("")


@pytest.mark.feature("OCQ-05")
def test_a_job_that_is_cancelled_while_a_runner_has_it_commits_nothing(instance: Instance, gate: Gate) -> None:
    number = instance.act(gate.touch, gate.wait, ("write", "never"))
    other = instance.act(("write", "well"))
    with started(instance, "act") as run:
        gate.reached()
        assert act(instance, acts.cancel(), Selection(ids=(number,))).moved == (number,)
        gate.open()
        run.end()
    assert (instance.row(number).status, instance.row(number).attempt_count) == (X, 0)
    assert instance.row(other).status is C
    assert [note for _, _, note in instance.ledger()] == ["well"]
