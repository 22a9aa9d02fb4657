"""Jobs of a source that finds them itself: made by hand, or with its own iterReady."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from fooapp import HandmadeSource
from instances import Instance
from jobcron import Job, JobStatus


@pytest.mark.feature("LP-05")
def test_a_source_made_by_hand_runs_too(instance: Instance) -> None:
    from jobcron.database.sessions import use_session

    with instance.session() as session, use_session(session):
        good = HandmadeSource().create(instance.foo(session)).job.id
        bad = HandmadeSource().create(instance.foo(session), fail=True).job.id
    log = instance.run("handmade")
    assert instance.row(good).status is JobStatus.COMPLETED
    assert instance.row(bad).status is JobStatus.FAILED
    assert instance.ledger() == [(good, 1, "")]
    assert len(instance.oopses()) == 1
    assert "Ran 1 HandmadeJob jobs." in log


@pytest.mark.feature("LP-05")
def test_a_dead_job_of_a_source_made_by_hand_runs_again(instance: Instance) -> None:
    from jobcron.database.sessions import use_session

    with instance.session() as session, use_session(session):
        first = HandmadeSource().create(instance.foo(session)).job.id
    instance.run("handmade")
    with instance.session() as session, use_session(session):
        job = HandmadeSource().create(instance.foo(session)).job
        job.start()
        second = job.id
    instance.end_lease(second)
    instance.run("handmade")
    row = instance.row(second)
    assert (row.status, row.attempt_count, row.crash_count) == (JobStatus.COMPLETED, 2, 1)
    assert instance.ledger() == [(first, 1, ""), (second, 2, "")]


def test_a_source_with_its_own_iter_ready_is_obeyed(instance: Instance) -> None:
    from fooapp import OwnReadyJob

    with instance.session() as session:
        foo = instance.foo(session)
        jobs = [OwnReadyJob.create(foo).job.id for _ in range(3)]
    instance.run("own_ready")
    assert [job for job, _, _ in instance.ledger()] == jobs[::-1]


def test_a_source_with_its_own_iter_ready_sees_what_changed_before_each_job_was_claimed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fooapp import OwnReadyJob

    with instance.session() as session:
        for name in ("first", "second"):
            OwnReadyJob.create(instance.foo(session, name))
    run = OwnReadyJob.run

    def change_then_run(self: OwnReadyJob) -> None:
        # the other foo, in the job's own transaction, behind the back of what the pass has loaded
        self.session.connection().exec_driver_sql("UPDATE foo SET name = 'changed' WHERE name = 'first'")
        run(self)

    monkeypatch.setattr(OwnReadyJob, "run", change_then_run)
    instance.run("own_ready")
    assert [note for *_, note in instance.ledger()] == ["second", "changed"]


def test_jobs_that_went_since_they_were_found_do_not_end_the_run(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fooapp import OwnReadyJob

    with instance.session() as session:
        last, *gone, first = [OwnReadyJob.create(instance.foo(session)).job.id for _ in range(4)]
    run = OwnReadyJob.run

    def remove_then_run(self: OwnReadyJob) -> None:
        numbers = ", ".join(map(str, gone))
        instance.query(f"DELETE FROM jobcron_job WHERE id IN ({numbers})")
        run(self)

    monkeypatch.setattr(OwnReadyJob, "run", remove_then_run)
    instance.run("own_ready")
    assert [(row.id, row.status) for row in instance.rows()] == [
        (last, JobStatus.COMPLETED),
        (first, JobStatus.COMPLETED),
    ]


def test_a_job_of_a_source_with_its_own_iter_ready_expires(instance: Instance) -> None:
    from fooapp import OwnReadyJob

    with instance.session() as session:
        OwnReadyJob.create(instance.foo(session))
        now = session.scalars(select(Job.date_created)).first()
        late = OwnReadyJob.create(instance.foo(session), expires_at=now).job.id
    instance.run("own_ready")
    assert instance.row(late).status is JobStatus.EXPIRED
