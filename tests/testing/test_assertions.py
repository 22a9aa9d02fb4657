"""What a test says of jobs: which of them wait, and what became of them once they were run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from fooapp import ActJob, DoFooJob, Foo, TellingJob
from instances import Instance
from jobcron import ConfigurationError, JobStatus
from jobcron.testing import JobFactory, assert_completed, assert_failed, assert_waiting, run_waiting, waiting_jobs


@pytest.mark.feature("LP-30")
def test_waiting_jobs_are_of_one_class_about_one_target_and_in_order(session: Session, foo: Foo) -> None:
    other = Foo()
    session.add(other)
    last = ActJob.create(foo, priority=20)
    later = ActJob.create(foo, scheduled_start=datetime.now(UTC) + timedelta(days=1))
    urgent = ActJob.create(other, priority=1)
    DoFooJob.create(foo)
    ActJob.create(foo).suspend()
    assert waiting_jobs(ActJob) == [urgent, later, last]
    assert waiting_jobs(ActJob, foo) == [later, last]
    assert assert_waiting(ActJob, foo, 2) == [later, last]
    assert assert_waiting(TellingJob, count=0) == []


@pytest.mark.feature("LP-30")
def test_what_does_not_wait_as_expected_is_told_with_what_is_there(session: Session, foo: Foo) -> None:
    with pytest.raises(
        AssertionError, match=r"expected 1 waiting DoFooJob, found 0; the jobs that there are:\n  none$"
    ):
        assert_waiting(DoFooJob)
    ActJob.create(foo)
    suspended = DoFooJob.create(foo)
    suspended.suspend()
    JobFactory(session).makeJob(JobStatus.EXPIRED)
    with pytest.raises(AssertionError) as caught:
        assert_waiting(DoFooJob, foo)
    assert str(caught.value) == (
        f"expected 1 waiting DoFooJob about Foo {foo.id}, found 0; the jobs that there are:\n"
        "  testing.JOB (ID 3): Expired\n"
        f"  DoFooJob (ID 2) about Foo {foo.id}: Suspended\n"
        f"  ActJob (ID 1) about Foo {foo.id}: Waiting"
    )
    DoFooJob.createMultiple([foo] * 30)
    with pytest.raises(AssertionError, match=r"found 30; (.|\n)* … and 13 older ones$"):
        assert_waiting(DoFooJob, foo)


@pytest.mark.feature("LP-30")
def test_what_became_of_a_job_is_told_with_its_error(instance: Instance) -> None:
    good, bad = instance.act(("write", "x")), instance.act(("raise", "value"))
    log = run_waiting("act", "--config", str(instance.path))
    assert "INFO    Ran 1 ActJob jobs.\n" in log
    assert "DEBUG   Running ActJob" in log
    with instance.session() as session:
        done, failed = (ActJob.get(number, session=session) for number in (good, bad))
        assert_completed(done)
        assert_completed(done.job)
        assert_failed(failed)
        assert_failed(failed, "ValueError: no such foo")
        with pytest.raises(
            AssertionError, match=r"expected ActJob \(ID 2\) to have failed with 'KeyError', it failed with:\n"
        ):
            assert_failed(failed, "KeyError")
        with pytest.raises(
            AssertionError, match=r"expected ActJob \(ID 2\) to be Completed, it is Failed:\n(.|\n)*no such foo"
        ):
            assert_completed(failed)
        with pytest.raises(AssertionError, match=r"expected Job \(ID 1\) to be Failed, it is Completed$"):
            assert_failed(done.job)


@pytest.mark.feature("LP-30")
def test_what_became_of_a_job_is_asked_of_the_database(instance: Instance) -> None:
    number = instance.act(("write", "x"))
    with instance.session() as session:
        job = ActJob.get(number, session=session)
        assert job.status is JobStatus.WAITING
        session.commit()  # what is loaded stays loaded
        instance.run("act")
        assert_completed(job)
        assert waiting_jobs(ActJob, session=session) == []


@pytest.mark.feature("LP-30")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_jobs_of_a_class_are_run_by_the_section_that_names_it(
    instance: Instance, session: Session, foo: Foo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    by_interface, by_name = DoFooJob.create(foo), TellingJob.create(foo)
    run_waiting(DoFooJob)
    run_waiting(TellingJob)
    assert_completed(by_interface)
    assert_failed(by_name, "told")
    instance.configure(sections="[act]\nsource_interface: fooapp.IActJobSource\n")
    with pytest.raises(
        LookupError,
        match=r"one of fooapp\.DoFooJob, fooapp\.IDoFooJobSource, found none; its sections are: act$",
    ):
        run_waiting(DoFooJob)
    with pytest.raises(ConfigurationError, match=r"expected a section \[do_foo\], found none"):
        run_waiting("do_foo")
