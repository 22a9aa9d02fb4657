"""Jobs are offered when their transaction has committed, and only then (LP-32)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import dispatchapp
from fooapp import ActJob, DoFooJob
from instances import Instance
from jobcron import chain
from jobcron.dispatch import dispatchers


@pytest.mark.feature("LP-32")
def test_a_job_is_offered_when_its_transaction_has_committed_and_not_before(offering: Instance) -> None:
    with offering.database.session() as session:
        number = ActJob.create(offering.foo(session), session=session).id
        assert dispatchapp.offered == []
        session.commit()
    assert dispatchapp.offered == [("act", [number])]


@pytest.mark.feature("LP-32")
def test_a_job_whose_transaction_or_savepoint_is_rolled_back_is_never_offered(offering: Instance) -> None:
    with offering.database.session() as session:
        ActJob.create(offering.foo(session), session=session)
        session.rollback()
        with session.begin_nested() as savepoint:
            ActJob.create(offering.foo(session), session=session)
            savepoint.rollback()
        kept = ActJob.create(offering.foo(session), session=session).id
        session.commit()
    assert dispatchapp.offered == [("act", [kept])]


def test_the_jobs_of_one_transaction_are_offered_together_each_once(offering: Instance) -> None:
    with offering.session() as session:
        job = ActJob.acquire(offering.foo(session), session=session)
        assert ActJob.acquire(job.context.foo, session=session) == job
        job.celeryRunOnCommit()
        many = ActJob.createMultiple([offering.foo(session) for _ in range(3)], session=session)
        number = job.id
    assert dispatchapp.offered == [("act", [number, *many])]


def test_a_job_that_is_not_due_or_waits_for_others_is_left_to_cron(offering: Instance) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with offering.session() as session:
        foo = offering.foo(session)
        later = ActJob.create(foo, session=session, scheduled_start=tomorrow)
        later.celeryRunOnCommit()
        ActJob.createMultiple([foo], session=session, scheduled_start=tomorrow)
        first, _ = (
            chain(ActJob.planned(foo, session=session), ActJob.planned(foo, session=session))
            .create(session=session)
            .jobs
        )
    assert dispatchapp.offered == [("act", [first])]


def test_only_sections_with_the_key_offer_their_jobs(offering: Instance) -> None:
    with offering.session() as session:
        job = DoFooJob.create(offering.foo(session), session=session)
        job.celeryRunOnCommit()  # there is no broker either
    assert dispatchapp.offered == []


def test_a_dispatcher_that_fails_does_not_fail_the_commit_and_is_left_alone_for_a_while(
    offering: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    dispatchapp.errors.append(ConnectionRefusedError("no broker, password=hunter2"))
    number = offering.act(("write", "done"))
    assert offering.row(number).is_pending
    assert offering.act(("write", "done")) > number
    assert dispatchapp.offered == []
    (record,) = [record for record in caplog.records if record.name == "jobcron.dispatch"]
    assert record.levelname == "WARNING"
    assert "could not be offered to dispatchapp:Noting" in record.getMessage()
    assert "ConnectionRefusedError: no broker" in record.getMessage()
    assert "hunter2" not in record.getMessage()
    offering.run("act")
    assert len(offering.ledger()) == 2


def test_a_commit_does_not_wait_for_dispatchers_one_after_the_other_without_a_limit(
    offering: Instance, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dispatchers.COMMIT_SECONDS == 3.0
    monkeypatch.setattr(dispatchers, "COMMIT_SECONDS", 0.2)
    monkeypatch.setattr(dispatchapp, "seconds", 0.3)
    offering.configure(sections=f"{dispatchapp.SECTIONS}dispatch: dispatchapp:Noting\n")
    with offering.session() as session:
        first = ActJob.create(offering.foo(session), session=session).id
        second = DoFooJob.create(offering.foo(session), session=session).id
    assert dispatchapp.offered == [("act", [first])]
    assert "of section do_foo could not be offered" in caplog.text
    assert "the commit has waited for 0.2 seconds: 1 job left" in caplog.text
    assert offering.row(second).is_pending
