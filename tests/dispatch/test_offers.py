"""What was offered and is not taken has a row, for people (LP-32)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.orm import Session

import dispatchapp
from channel_jobs import limit
from fooapp import ActJob, DoFooJob
from instances import Instance
from jobcron import JobStatus
from jobcron.dispatch.offers import forget_offers, note_offers, offer_of, untaken
from jobcron.operations.reasons import Cause
from jobcron.operations.why import explain_job
from jobcron.settings.instance import load_settings


def offers(instance: Instance) -> list[object]:
    """Return (job, section, dispatcher) of all offers."""
    return instance.query("SELECT job, section, dispatcher FROM jobcron_offer ORDER BY job")


def test_an_offer_is_noted_with_the_job_and_counted_while_the_job_waits(offering: Instance) -> None:
    numbers = [offering.act(), offering.act()]
    assert offers(offering) == [(number, "act", "dispatchapp:Noting") for number in numbers]
    with offering.database.begin(writing=False) as connection:
        offer = offer_of(connection, numbers[0])
        assert offer is not None
        assert offer.dispatcher == "dispatchapp:Noting"
        assert 0 <= offer.seconds < 60
        ((section, _, counted, oldest),) = untaken(connection)
        assert (section, counted) == ("act", 2)
        assert untaken(connection, older_than=oldest + 60) == []
    offering.run("act")
    with offering.database.begin(writing=False) as connection:
        assert untaken(connection) == []


@pytest.mark.feature("LP-32")
def test_a_metric_counts_the_offers_that_nobody_has_taken(offering: Instance) -> None:
    offering.configure(f"metrics_dir: {offering.path}\n", dispatchapp.SECTIONS)
    limit(offering, "root.closed", capacity=0)
    numbers = [offering.act(channel="root.closed") for _ in range(2)]
    counted = 'jobcron_offered_jobs{{section="act"}} {}\n'
    offering.run("act")
    assert counted.format(2) in (offering.path / "jobcron_act.prom").read_text()
    limit(offering, "root.closed", capacity=2)
    offering.run("act")
    assert [offering.row(number).status for number in numbers] == [JobStatus.COMPLETED] * 2
    assert counted.format(0) in (offering.path / "jobcron_act.prom").read_text()


def test_an_offer_is_noted_again_and_forgotten(offering: Instance) -> None:
    number = offering.act()
    with offering.database.begin() as connection:
        note_offers(connection, [number], "slow", "celery")
    assert offers(offering) == [(number, "slow", "celery")]
    with offering.database.begin() as connection:
        forget_offers(connection, [number])
    assert offers(offering) == []


def test_the_offers_of_jobs_that_have_ended_are_withdrawn_when_a_run_looks_around(offering: Instance) -> None:
    numbers = [offering.act() for _ in range(4)]
    with offering.session() as session:
        ActJob.get(numbers[0], session=session).cancel()
        ActJob.get(numbers[1], session=session).suspend()
        ActJob.get(numbers[2], session=session).cancel()
        ActJob.get(numbers[3], session=session).cancel()
    with offering.database.begin() as connection:
        note_offers(connection, numbers[3:], "act", "another:Dispatcher")
    offering.run("do_foo")
    assert [row[0] for row in offering.query("SELECT job FROM jobcron_offer")] == numbers[1:2]
    ((section, withdrawn),) = dispatchapp.withdrawn
    assert (section, sorted(withdrawn)) == ("act", [numbers[0], numbers[2]])


def test_a_dispatcher_that_cannot_take_a_number_back_is_told_and_the_run_goes_on(
    offering: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    number = offering.act()
    with offering.session() as session:
        ActJob.get(number, session=session).cancel()
        other = DoFooJob.create(offering.foo(session), session=session).id
    dispatchapp.errors.append(OSError("away"))
    offering.run("do_foo")
    assert "Jobs of section act could not be withdrawn from dispatchapp:Noting" in caplog.text
    assert "OSError: away" in caplog.text
    assert offering.row(other).status is JobStatus.COMPLETED
    assert offers(offering) == []


def test_an_offer_goes_with_its_job(offering: Instance) -> None:
    number = offering.act()
    offering.query("DELETE FROM foo_job WHERE job = :id", id=number)
    offering.query("DELETE FROM jobcron_job WHERE id = :id", id=number)
    assert offers(offering) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_offer_that_could_not_be_handed_over_is_not_told(offering: Instance) -> None:
    dispatchapp.errors.append(OSError("away"))
    offering.act()
    assert offers(offering) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_commit_stands_though_the_applications_pool_has_no_connection_to_remove_an_offer(
    offering: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(offering.url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    others: list[Connection] = []

    def offer(self: dispatchapp.Noting, job_ids: Sequence[int]) -> None:
        others.append(engine.connect())  # somebody else was waiting for it
        raise OSError("away")

    monkeypatch.setattr(dispatchapp.Noting, "offer", offer)
    with Session(engine) as session:
        job = ActJob.create(offering.foo(session), session=session).id
        session.commit()
    others[0].close()
    engine.dispose()
    assert offering.row(job).status is JobStatus.WAITING
    assert "An offer that failed could not be removed: QueuePool limit" in caplog.text


@pytest.mark.feature("LP-32")
def test_why_says_to_whom_a_waiting_job_was_offered(offering: Instance) -> None:
    number = offering.act()
    settings = load_settings(str(offering.path))
    with offering.database.begin(writing=False) as connection:
        explained = explain_job(connection, number, settings)
    assert explained.is_runnable or explained.section == "act"
    (reason,) = [reason for reason in explained.reasons if reason.cause is Cause.OFFERED]
    assert reason.text.startswith("offered to dispatchapp:Noting ")
    assert reason.text.endswith(" s ago, not taken")
    assert not reason.is_blocking
    with offering.session() as session:
        ActJob.get(number, session=session).suspend()
    with offering.database.begin(writing=False) as connection:
        explained = explain_job(connection, number, settings)
    assert Cause.OFFERED not in [reason.cause for reason in explained.reasons]


def test_ten_thousand_offers_are_noted_in_few_statements(offering: Instance) -> None:
    first = offering.act()
    offering.multiply(first, 10_500, priority="3")
    numbers = [number for (number,) in offering.query("SELECT id FROM jobcron_job WHERE id <> :id", id=first)]
    with offering.database.begin() as connection:
        note_offers(connection, numbers, "act", "celery")
        ((_, _, counted, _), *_) = untaken(connection)
        assert counted >= 9_999
        forget_offers(connection, numbers)
    assert len(offers(offering)) == 1
