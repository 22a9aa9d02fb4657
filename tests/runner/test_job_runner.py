"""The loop over ready jobs, as a program may use it without a script."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from fooapp import ActJob, DoFooJob
from instances import Instance
from jobcron import Job, JobRunner, JobStatus
from jobcron.queue import type_feed
from jobcron.runner import job_runner
from jobcron.runner.source_runner import Guard, JobEnd
from jobcron.testing import BufferLogger
from runner_processes import is_as_never_claimed


def test_ready_jobs_are_run_until_none_is_left_and_counted_by_class(instance: Instance) -> None:
    good = [instance.act(("write", "x")) for _ in range(3)]
    bad = instance.act(("raise", "broken"))
    runner = JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert (runner.completed, runner.incomplete) == ({"ActJob": 3}, {"ActJob": 1})
    assert [instance.row(job).status for job in good] == [JobStatus.COMPLETED] * 3
    assert instance.row(bad).status is JobStatus.FAILED


def test_jobs_of_other_sources_are_left_alone(instance: Instance) -> None:
    with instance.session() as session:
        other = DoFooJob.create(instance.foo(session), session=session).job.id
    JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert instance.row(other).status is JobStatus.WAITING


def test_a_job_that_is_made_while_others_run_is_run_as_well(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def run(job: Any) -> None:
        if not made:
            made.append(instance.act())

    monkeypatch.setattr(ActJob, "run", run)
    first = instance.act()
    JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert [instance.row(job).status for job in (first, *made)] == [JobStatus.COMPLETED] * 2


def test_a_run_that_is_told_to_end_starts_nothing_more_and_releases_what_it_has_claimed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = JobRunner.for_source(ActJob, instance.database, BufferLogger())
    assert isinstance(runner, JobRunner)
    ran: list[int] = []

    def run(job: Any) -> None:
        ran.append(job.job.id)
        if len(ran) == 2:
            runner.end()

    monkeypatch.setattr(ActJob, "run", run)
    jobs = [instance.act() for _ in range(6)]
    runner.runAll()
    assert ran == jobs[:2]
    rest = [instance.row(job) for job in jobs[2:]]
    assert {(row.status, row.attempt_count, row.lease_expires) for row in rest} == {(JobStatus.WAITING, 0, None)}


WRITE = ("write", "effect")


def runner_of(instance: Instance, guard: Guard | None = None) -> JobRunner:
    """Return a runner of the instance's jobs."""
    return JobRunner(ActJob, instance.database, logger=BufferLogger(), guard=guard)


@pytest.mark.feature("LP-05")
def test_ready_jobs_are_run_and_counted_by_their_class(instance: Instance) -> None:
    jobs = [instance.act(WRITE), instance.act(("raise", "value")), instance.act(WRITE)]
    later = instance.act(WRITE, scheduled_start=datetime.now(UTC) + timedelta(days=1))
    runner = runner_of(instance)
    runner.runAll()
    assert (runner.completed, runner.incomplete) == ({"ActJob": 2}, {"ActJob": 1})
    assert runner.oops_ids == [instance.row(jobs[1]).oops_id]
    assert [job for job, *_ in instance.ledger()] == [jobs[0], jobs[2]]
    assert is_as_never_claimed(instance.row(later))


@pytest.mark.parametrize(
    ("hears", "last", "claims"),
    [
        (True, WRITE, 3),
        (False, WRITE, 4),
        (True, ("raise", "value"), 4),
        (True, ("move", "suspend"), 4),
    ],
)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_claim_that_left_nothing_is_not_repeated_where_the_run_hears_of_jobs_that_come_later(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, hears: bool, last: tuple[str, str], claims: int
) -> None:
    class Hearing(Guard):
        """Counts the claims."""

        hears_of_jobs = hears
        claims = 0

        def before_claim(self, must_stop: Callable[[], bool]) -> None:
            """Count it."""
            self.claims += 1

    monkeypatch.setattr(job_runner, "DRAINED_SECONDS", 60.0)
    monkeypatch.setattr(type_feed, "HEAD_SECONDS", 0.0)  # each claim begins at the head of the line
    monkeypatch.setattr(type_feed, "HEAD_SHARE", 1e9)
    jobs = [instance.act(action) for action in (*[WRITE] * 7, last)]  # claimed are one, four, and all three others
    runner_of(instance, guard := Hearing()).runAll()
    assert guard.claims == claims
    assert JobStatus.WAITING not in {instance.row(job).status for job in jobs}


def test_a_job_that_comes_while_others_run_is_run_as_well(instance: Instance) -> None:
    class Maker(Guard):
        """Makes one more job when the first has ended."""

        def job_ended(self, end: JobEnd) -> None:
            """Make it."""
            if len(made) == 1:
                made.append(instance.act(WRITE))

    made = [instance.act(WRITE)]
    runner_of(instance, Maker()).runAll()
    assert [job for job, *_ in instance.ledger()] == made


def test_a_runner_that_is_told_to_end_starts_nothing_more_and_puts_back_what_it_has_claimed(
    instance: Instance,
) -> None:
    class Ender(Guard):
        """Ends the run after three jobs, when more are claimed already."""

        def job_ended(self, end: JobEnd) -> None:
            """End it."""
            if runner.completed.total() == 3:
                assert instance.query("SELECT count(*) FROM jobcron_job WHERE status = 1") > [(0,)]
                runner.end()

    jobs = [instance.act(WRITE) for _ in range(8)]
    runner = runner_of(instance, Ender())
    runner.runAll()
    assert runner.completed == {"ActJob": 3}
    assert [instance.row(job).status for job in jobs[:3]] == [JobStatus.COMPLETED] * 3
    assert all(is_as_never_claimed(instance.row(job)) for job in jobs[3:])


def test_a_runner_without_anything_to_do_has_run_nothing(instance: Instance) -> None:
    runner = runner_of(instance)
    runner.runAll()
    assert (runner.completed.total(), runner.incomplete.total(), runner.oops_ids) == (0, 0, [])


END_OF_THE_FIRST: dict[str, Callable[[Any], object]] = {
    "without a transaction": lambda job: job.session.rollback(),
    "in its transaction": lambda job: job.session.execute(text("SELECT 1")),
    "by an error": lambda job: 1 / 0,
}


@pytest.mark.feature("LP-03", "LP-23")
@pytest.mark.parametrize("move", ["cancel", "suspend"])
@pytest.mark.parametrize("end", END_OF_THE_FIRST)
def test_a_job_that_is_moved_while_it_waits_behind_another_does_not_begin(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, move: str, end: str
) -> None:
    monkeypatch.setattr(job_runner, "LOOK_SECONDS", 3600.0)  # no look because time has passed
    jobs = [instance.act() for _ in range(5)]
    begun: list[int] = []

    def run(job: Any) -> None:
        begun.append(job.id)
        job.session.rollback()  # on SQLite it would hold the only lock
        if len(begun) == 2:  # the first batch is of one job
            assert instance.row(jobs[2]).status is JobStatus.RUNNING
            with instance.session() as session:
                getattr(session.get_one(Job, jobs[2]), move)()
            END_OF_THE_FIRST[end](job)

    monkeypatch.setattr(ActJob, "run", run)
    logger = BufferLogger()
    runner = JobRunner.runFromSource(ActJob, instance.database, logger)
    assert begun == [job for job in jobs if job != jobs[2]]
    assert runner.completed.total() + runner.incomplete.total() == 4
    assert f"ActJob (ID {jobs[2]}) was moved by somebody else before it began" in logger.getLogBuffer()
    assert instance.events(jobs[2]) == [{"cancel": "cancelled", "suspend": "suspended"}[move]]


@pytest.mark.feature("LP-03", "LP-23")
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
@pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
def test_a_job_that_is_moved_just_before_the_one_before_it_is_completed_does_not_begin(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    monkeypatch.setattr(job_runner, "LOOK_SECONDS", 3600.0)
    jobs = [instance.act() for _ in range(4)]
    begun: list[int] = []

    def run(job: Any) -> None:
        begun.append(job.id)
        job.session.execute(text(f"SET TRANSACTION ISOLATION LEVEL {isolation}"))
        job.session.execute(text("SELECT count(*) FROM jobcron_job"))  # all that it sees from here on, in some
        if job.id == jobs[1]:
            event.listen(job.session.connection(), "before_cursor_execute", cancel_next)

    def cancel_next(connection: object, cursor: object, statement: str, *more: object) -> None:
        if "SET status = 2" in statement:
            cancel = "UPDATE jobcron_job SET status = 5, date_finished = date_created WHERE id = :id"
            instance.query(cancel, id=jobs[2])

    monkeypatch.setattr(ActJob, "run", run)
    runner = JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert instance.row(jobs[2]).status is JobStatus.CANCELLED
    assert begun == [jobs[0], jobs[1], jobs[3]]
    assert runner.completed == {"ActJob": 3}


@pytest.mark.feature("LP-03", "LP-23")
def test_what_was_known_of_a_job_when_the_one_before_it_was_completed_is_no_use_for_long(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dawdler(Guard):
        """Takes its time between two jobs; meanwhile somebody cancels the second."""

        def job_ended(self, end: JobEnd) -> None:
            """Wait."""
            if end.claim.id == jobs[1]:
                with instance.session() as session:
                    session.get_one(Job, jobs[2]).cancel()
                time.sleep(2 * job_runner.LOOK_SECONDS)

    begun: list[int] = []
    monkeypatch.setattr(ActJob, "run", lambda job: begun.append(job.id))
    jobs = [instance.act() for _ in range(4)]
    runner_of(instance, Dawdler()).runAll()
    assert begun == [jobs[0], jobs[1], jobs[3]]
    assert instance.row(jobs[2]).status is JobStatus.CANCELLED


@pytest.mark.feature("LP-03", "LP-23")
def test_a_job_that_is_cancelled_between_its_claim_and_its_loading_does_not_begin(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, other = instance.act(("write", "x")), instance.act(("write", "x"))
    load = ActJob.load

    def cancelled_first(session: Any, numbers: list[int]) -> Any:
        if job in numbers:
            cancel = "UPDATE jobcron_job SET status = 5, date_finished = date_created WHERE id = :id"
            instance.query(cancel, id=job)
        return load(session, numbers)

    monkeypatch.setattr(ActJob, "load", cancelled_first)
    runner = JobRunner.runFromSource(ActJob, instance.database, BufferLogger())
    assert runner.completed == {"ActJob": 1}
    assert instance.ledger() == [(other, 1, "x")]
    assert instance.row(job).status is JobStatus.CANCELLED
