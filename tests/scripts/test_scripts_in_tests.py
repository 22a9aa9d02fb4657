"""Scripts inside a test: they work in the test's transaction, and say and raise what scripts do."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from fooapp import ActJob, DoFooJob, Foo, Ledger
from instances import Instance
from jobcron import BaseRunnableJob, Job, JobCronScript, JobStatus, JobType, current_session
from jobcron.testing import BufferLogger, DevNullLogger, outbox
from script_runs import do_foo


class ScriptJobType(JobType):
    """Types of jobs for these tests."""

    MAKE = 1


class MakeJob(BaseRunnableJob[Job]):
    """Makes other jobs, of its own type and of another."""

    class_job_type = ScriptJobType.MAKE

    def run(self) -> None:
        """Make a foo, a job about it, and the next one of these."""
        session = current_session()
        foo = Foo(name="made")
        session.add(foo)
        DoFooJob.create(foo, session=session)
        if self.metadata["more"]:
            MakeJob.create(session=session, metadata={"more": self.metadata["more"] - 1})
        if self.metadata.get("fail"):
            raise ValueError("after all that")


MAKE = f"[make]\nsource_interface: {__name__}.MakeJob\n"


@pytest.fixture
def configured(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance that the environment names."""
    instance.configure(sections=SECTIONS_IN_TESTS)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    return instance


SECTIONS_IN_TESTS = f"""
[do_foo]
source_interface: fooapp.IDoFooJobSource
[act]
source_interface: fooapp.IActJobSource
[handmade]
source_interface: fooapp.IHandmadeSource
{MAKE}"""


def run_in_test(*arguments: str, logger: logging.Logger | None = None) -> int | None:
    """Run a script as the wiki's test does."""
    script = JobCronScript(test_args=list(arguments), commandline_config=True)
    script.logger = logger or DevNullLogger()
    return script.main()


def committed(instance: Instance) -> list[int]:
    """Return how many rows of each table others can see."""
    with instance.database.reading.connect() as connection:
        tables = ("jobcron_job", "foo_job", "foo", "ledger", "jobcron_event", "jobcron_run", "jobcron_type")
        return [connection.scalars(text(f"SELECT count(*) FROM {table}")).one() for table in tables]


@pytest.mark.feature("LP-15")
def test_job_runner_runs_job(configured: Instance, session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo)
    # Tell JobCronScript to take its configuration from the config section named on the command line.
    script = JobCronScript(test_args=["do_foo"], commandline_config=True)
    # Suppress test noise.
    script.logger = DevNullLogger()
    # Run pending jobs.
    script.main()
    # This particular job completes successfully.
    assert job.context.job.status is JobStatus.COMPLETED
    assert (job.context.job.attempt_count, foo.frozzled) == (1, 1)
    assert job.context.job.date_finished is not None


@pytest.mark.feature("LP-15")
def test_a_script_in_a_test_commits_nothing(configured: Instance, session: Session, foo: Foo) -> None:
    before = committed(configured)
    DoFooJob.create(foo)
    ActJob.create(foo, metadata={"do": [["write", "x"], ["checkpoint", ""], ["write", "y"]]})
    run_in_test("do_foo")
    run_in_test("act")
    assert session.scalars(select(Ledger.note)).all() == ["", "x", "y"]
    assert committed(configured) == before
    session.rollback()
    assert session.scalars(select(Job.id)).all() == []


@pytest.mark.feature("LP-15")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("last", [("write", "x"), ("raise", "value")])
def test_a_job_in_a_test_leaves_its_search_path_neither_to_the_next_nor_to_the_test(
    configured: Instance, session: Session, foo: Foo, last: tuple[str, str]
) -> None:
    session.execute(text("SET search_path = public, pg_catalog; SET TIME ZONE 'Asia/Tokyo'"))
    session.execute(text("CREATE SCHEMA trap; CREATE TABLE trap.ledger (LIKE public.ledger INCLUDING ALL)"))
    leave = [["sql", "SET search_path = trap; SET TIME ZONE 'UTC'; SET ROLE pg_monitor; RESET ROLE"], last]
    bad = ActJob.create(foo, metadata={"do": [last, *leave]})
    good = ActJob.create(foo, metadata={"do": [["write", "y"]]})
    run_in_test("act")
    assert bad.job.status is (JobStatus.COMPLETED if last[0] == "write" else JobStatus.FAILED)
    assert good.job.status is JobStatus.COMPLETED
    assert session.scalar(text("SELECT count(*) FROM trap.ledger")) == (1 if last[0] == "write" else 0)
    asked = "SELECT current_setting('search_path'), current_setting('TimeZone')"
    assert tuple(session.execute(text(asked)).one()) == ("public, pg_catalog", "Asia/Tokyo")


@pytest.mark.feature("LP-15")
def test_a_script_in_a_test_says_what_a_script_says(configured: Instance, session: Session, foo: Foo) -> None:
    DoFooJob.create(foo)
    logger = BufferLogger()
    assert run_in_test("do_foo", logger=logger) == 0
    assert "INFO    Ran 1 DoFooJob jobs.\n" in logger.getLogBuffer()
    assert not (configured.state / "locks").exists()


@pytest.mark.feature("LP-15")
def test_a_failing_job_in_a_test_is_undone_and_its_neighbours_are_not(
    configured: Instance, session: Session, foo: Foo
) -> None:
    before = committed(configured)
    foo.name = "changed before, not flushed"
    first = ActJob.create(foo, metadata={"do": [["write", "first"]]})
    bad = ActJob.create(
        foo, metadata={"do": [["write", "undone"], ["raise", "value"]], "tell": ["me@example.com"]}
    )
    late = ActJob.create(foo, metadata={"do": [["write", "kept"], ["checkpoint", ""], ["raise", "user"]]})
    broken = ActJob.create(foo, metadata={"do": [["write", "undone"], ["sql", "SELECT nonsense FROM nowhere"]]})
    last = ActJob.create(foo, metadata={"do": [["write", "last"]]})
    logger = BufferLogger()
    assert run_in_test("act", "--fail-on-job-failure", logger=logger) == 1
    statuses = [job.context.job.status for job in (first, bad, late, broken, last)]
    done, failed = JobStatus.COMPLETED, JobStatus.FAILED
    assert statuses == [done, failed, failed, failed, done]
    assert session.scalars(select(Ledger.note).order_by(Ledger.id)).all() == ["first", "kept", "last"]
    assert foo.name == "changed before, not flushed"
    assert bad.context.job.oops_id in {path.name for path in configured.oopses()}
    (mail,) = outbox()
    assert mail["To"] == "me@example.com"
    assert str(bad.context.job.oops_id) in mail.get_content()
    assert not (configured.path / "mail").exists()
    assert "3 ActJob jobs did not complete." in logger.getLogBuffer()
    assert committed(configured) == before


@pytest.mark.feature("LP-15", "LP-21", "LP-22")
def test_retry_and_suspension_in_a_test(configured: Instance, session: Session, foo: Foo) -> None:
    retried = ActJob.create(foo, metadata={"do": [["write", "x"], ["raise", "retryable"]]})
    suspended = ActJob.create(foo, metadata={"do": [["write", "x"], ["raise", "suspend"]]})
    run_in_test("act")
    assert (retried.context.job.status, retried.context.job.attempt_count) == (JobStatus.WAITING, 1)
    assert retried.context.job.scheduled_start > retried.context.job.date_created
    assert suspended.context.job.status is JobStatus.SUSPENDED
    assert session.scalars(select(Ledger.id)).all() == []


@pytest.mark.feature("LP-15")
def test_jobs_made_inside_a_job_in_a_test_run_as_well(configured: Instance, session: Session) -> None:
    before = committed(configured)
    MakeJob.create(session=session, metadata={"more": 2})
    logger = BufferLogger()
    run_in_test("make", logger=logger)
    assert "Ran 3 MakeJob jobs." in logger.getLogBuffer()
    assert len(list(DoFooJob.iterReady())) == 3
    run_in_test("do_foo", logger=logger)
    assert "Ran 3 DoFooJob jobs." in logger.getLogBuffer()
    assert set(session.scalars(select(Job.status))) == {JobStatus.COMPLETED}
    assert committed(configured) == before


@pytest.mark.feature("LP-15")
def test_jobs_made_inside_a_job_that_fails_in_a_test_never_existed(configured: Instance, session: Session) -> None:
    MakeJob.create(session=session, metadata={"more": 2, "fail": True})
    run_in_test("make")
    assert session.scalars(select(Job.status)).all() == [JobStatus.FAILED]
    assert session.scalars(select(Foo.id)).all() == []


@pytest.mark.feature("LP-15", "LP-05")
def test_a_source_made_by_hand_runs_in_a_test(configured: Instance, session: Session, foo: Foo) -> None:
    from fooapp import handmade_source

    good, bad = handmade_source.create(foo), handmade_source.create(foo, fail=True)
    run_in_test("handmade")
    assert (good.job.status, bad.job.status) == (JobStatus.COMPLETED, JobStatus.FAILED)
    assert session.scalars(select(Ledger.job)).all() == [good.job.id]


@pytest.mark.feature("LP-15")
def test_a_script_can_run_again_and_again_in_one_test(configured: Instance, session: Session, foo: Foo) -> None:
    for _ in range(3):
        DoFooJob.create(foo)
        run_in_test("do_foo")
    assert foo.frozzled == 3


@pytest.mark.feature("LP-15")
def test_without_a_session_a_script_in_a_test_sees_committed_rows(configured: Instance) -> None:
    job = do_foo(configured)
    with configured.database.session() as open_session:
        if configured.database.dialect == "postgresql":  # on SQLite one transaction writes at a time
            DoFooJob.create(configured.foo(open_session), session=open_session)
        else:
            open_session.rollback()
        logger = BufferLogger()
        run_in_test("do_foo", logger=logger)
        open_session.rollback()
    assert "Ran 1 DoFooJob jobs." in logger.getLogBuffer()
    assert configured.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-15")
def test_bad_input_of_a_script_in_a_test_is_raised(configured: Instance) -> None:
    with pytest.raises(SystemExit) as caught:
        JobCronScript(test_args=[], commandline_config=True)
    assert caught.value.code == 2


@pytest.mark.feature("N-13")
def test_a_job_s_own_statement_is_not_written_over_by_a_job_that_was_claimed_together_with_it(
    configured: Instance, session: Session, foo: Foo, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [ActJob.create(foo).job.id for _ in range(2)]

    def run(job: ActJob) -> None:
        if job.job.id == jobs[0]:
            current_session().execute(text("UPDATE foo SET frozzled = frozzled + 1"))
        else:
            job.context.foo.frozzled = job.context.foo.frozzled + 1

    monkeypatch.setattr(ActJob, "run", run)
    run_in_test("act")
    assert session.scalar(select(Foo.frozzled)) == 2
