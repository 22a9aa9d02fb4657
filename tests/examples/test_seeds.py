"""Launchpad's two wiki pages on its Job System, step by step: each test has its name and its steps there.

The application is `seedapp`. What the pages call `TestCaseWithFactory` is played by `jobcron.testing`: a session
in a transaction that is never committed, and a factory of foos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import transaction
import zope.sqlalchemy
from sqlalchemy.orm import Session
from zope.component import getUtility
from zope.interface.verify import verifyObject

from instances import Instance
from jobcron import IJob, IJobSource, IRunnableJob, JobCronScript, JobStatus
from jobcron.commands._grant import grant
from jobcron.testing import DevNullLogger, run_script
from paths import APPS, ROOT
from seedapp.interfaces.foojob import FooJobType, IDoFooJob, IDoFooJobSource, IFooJob
from seedapp.model.dofoojob import DoFooJob
from seedapp.model.foo import Base, Foo

DO_FOO = APPS / "seedapp" / "cronscripts" / "do-foo.py"

RUN_JOBS = ROOT / "cronscripts" / "run_jobs.py"

# The section, with the page's own comments; only the module is called otherwise.
SECTION = """
[do_foo]
# Database role to run do-foo jobs under.
# datatype: string
dbuser: dofoo

# Utility for finding pending DoFoo jobs.
source_interface: seedapp.interfaces.foojob.IDoFooJobSource
"""


class FooFactory:
    """Makes the objects of the application, as the page's ``self.factory`` does."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def makeFoo(self) -> Foo:
        """Return a new foo."""
        foo = Foo()
        self.session.add(foo)
        self.session.flush()
        return foo


@pytest.fixture
def launchpad(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance with the application and the section of the pages, named by the environment."""
    (instance.path / "jobcron.conf").write_text(
        f"[jobcron]\ndatabase_url: {instance.url}\napplication: seedapp\npython_path: {APPS}\n"
        f"state_dir: {instance.state}\nsecurity_cfg: {APPS}/seedapp/security.cfg\n{SECTION}"
    )
    Base.metadata.create_all(instance.database.engine)
    grant(str(instance.path), dry_run=False)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    return instance


@pytest.fixture
def zope_session(launchpad: Instance) -> Iterator[Session]:
    """Return a session that ``transaction.commit()`` commits, as zope.sqlalchemy makes it."""
    session = launchpad.database.session()
    zope.sqlalchemy.register(session)
    yield session
    transaction.abort()
    session.close()


class TestDoFooJob:
    """The page's test case for DoFooJob, inside a transaction that is never committed."""

    @pytest.fixture(autouse=True)
    def setUp(self, launchpad: Instance, session: Session) -> None:
        """Make what the page's base class has."""
        self.instance = launchpad
        self.factory = FooFactory(session)

    @pytest.mark.feature("LP-11")
    def test_getOopsVars(self) -> None:
        foo = self.factory.makeFoo()
        job = DoFooJob.create(foo)
        vars = job.getOopsVars()
        assert ("foo_id", foo.id) in vars
        assert ("foo_job_id", job.context.id) in vars
        assert ("foo_job_type", job.context.job_type.title) in vars
        assert ("foo_job_type", "Do foo") in vars

    @pytest.mark.feature("LP-06", "LP-07")
    def test_interfaces(self) -> None:
        foo = self.factory.makeFoo()
        job = DoFooJob.create(foo)
        # An object with a .job attribute, where the object implements IRunnableJob, and .job implements IJob.
        assert verifyObject(IDoFooJob, job)
        assert verifyObject(IRunnableJob, job)
        assert verifyObject(IFooJob, job)
        assert verifyObject(IFooJob, job.context)
        assert verifyObject(IJob, job.job)
        # verifyObject only looks for names: what is found there must be of the field's kind, too.
        for thing in (job, job.context):
            assert IFooJob["metadata"].bind(thing).validate(thing.metadata) is None
            assert thing.metadata == {}
        assert verifyObject(IDoFooJobSource, DoFooJob)
        assert getUtility(IDoFooJobSource) is DoFooJob
        assert IDoFooJobSource.extends(IJobSource)
        assert (job.foo, job.context.foo, job.context.job_type) == (foo, foo, FooJobType.DO_FOO)

    def _getJobs(self) -> list[DoFooJob]:
        """Return the pending DoFooJobs as a list."""
        return list(DoFooJob.iterReady())

    def _getJobCount(self) -> int:
        """Return the number of DoFooJobs in the queue."""
        return len(self._getJobs())

    @pytest.mark.feature("LP-09", "LP-10")
    def test_acquire_only_acquires_one(self) -> None:
        foo = self.factory.makeFoo()
        # If there's already a DoFooJob for a foo, acquire() won't create a new one.
        job = DoFooJob.acquire(foo)
        # There will now be one job in the queue.
        assert self._getJobCount() == 1
        new_job = DoFooJob.acquire(foo)
        # The two jobs will in fact be the same job.
        assert job == new_job
        # And the queue will still have a length of 1.
        assert self._getJobCount() == 1

    def test_run(self) -> None:
        """Test that DoFooJob.run() actually frozzles the foo."""
        foo = self.factory.makeFoo()
        job = DoFooJob.create(foo)
        job.run()
        assert foo.some_attribute == "frozzled"

    @pytest.mark.feature("LP-12", "LP-15")
    def test_job_runner_runs_job(self) -> None:
        foo = self.factory.makeFoo()
        job = DoFooJob.create(foo)
        # Tell JobCronScript to take its configuration from the config section named on the command line.
        script = JobCronScript(test_args=["do_foo"], commandline_config=True)
        # Suppress test noise.
        script.logger = DevNullLogger()
        # Run pending jobs.
        script.main()
        # This particular job completes successfully.
        assert job.context.job.status == JobStatus.COMPLETED
        assert foo.some_attribute == "frozzled"

    @pytest.mark.feature("LP-15")
    def test_a_method_patched_on_one_wrapper_is_not_patched_on_the_runners(self) -> None:
        foo = self.factory.makeFoo()
        job = DoFooJob.create(foo)
        calls: list[object] = []
        fake: Callable[[], None] = lambda: calls.append(1)  # noqa: E731
        job.__dict__["run"] = fake
        script = JobCronScript(test_args=["do_foo"], commandline_config=True)
        script.logger = DevNullLogger()
        script.main()
        # Two wrappers for the same database object, and the one that gets run is not the one that was patched.
        assert calls == []
        assert foo.some_attribute == "frozzled"
        assert job.context.job.status == JobStatus.COMPLETED

    def test_a_wrapper_of_the_same_row_is_the_same_job(self) -> None:
        job = DoFooJob.acquire(self.factory.makeFoo())
        assert DoFooJob(job.context) == job
        assert DoFooJob(job.context) is not job


@pytest.mark.feature("LP-14", "LP-16", "LP-30")
def test_cronscript_succeeds(launchpad: Instance, zope_session: Session) -> None:
    # The do-foo cronscript will run all pending DoFooJobs.
    foo = FooFactory(zope_session).makeFoo()
    DoFooJob.create(foo)
    transaction.commit()
    retcode, stdout, stderr = run_script(DO_FOO, [], expect_returncode=0)
    assert stdout == ""
    assert "INFO    Ran 1 DoFooJob jobs.\n" in stderr
    assert launchpad.query("SELECT some_attribute FROM seed_foo") == [("frozzled",)]


@pytest.mark.feature("LP-12", "LP-16")
def test_run_jobs_runs_pending_jobs(launchpad: Instance, zope_session: Session) -> None:
    DoFooJob.create(FooFactory(zope_session).makeFoo())
    transaction.commit()
    retcode, stdout, stderr = run_script(RUN_JOBS, ["do_foo"], expect_returncode=0)
    assert stdout == ""
    assert stderr.endswith("INFO    Ran 1 DoFooJob jobs.\n")
    assert [job.status for job in launchpad.rows()] == [JobStatus.COMPLETED]


@pytest.mark.feature("LP-08")
def test_transaction_abort_undoes_a_job(launchpad: Instance, zope_session: Session) -> None:
    DoFooJob.create(FooFactory(zope_session).makeFoo())
    transaction.abort()
    DoFooJob.acquire(FooFactory(zope_session).makeFoo())
    transaction.commit()
    assert len(launchpad.rows()) == 1


@pytest.mark.feature("LP-03", "LP-08")
@pytest.mark.parametrize("move", ["acquireLease", "suspend", "cancel", "start", "queue"])
def test_transaction_commit_keeps_what_a_move_by_hand_writes(
    launchpad: Instance, zope_session: Session, move: str
) -> None:
    number = DoFooJob.create(FooFactory(zope_session).makeFoo()).id
    transaction.commit()
    if move == "queue":
        DoFooJob.get(number, session=zope_session).cancel()
        transaction.commit()
    getattr(DoFooJob.get(number, session=zope_session), move)()
    transaction.commit()
    row = launchpad.row(number)
    expected = {"suspend": JobStatus.SUSPENDED, "cancel": JobStatus.CANCELLED, "start": JobStatus.RUNNING}
    assert row.status is expected.get(move, JobStatus.WAITING)
    assert (row.lease_expires is not None) == (move in ("acquireLease", "start"))
    kinds = {"suspend": ["suspended"], "cancel": ["cancelled"], "queue": ["cancelled", "requeued"]}
    assert launchpad.events(number) == kinds.get(move, [])
