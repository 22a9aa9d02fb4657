"""Job classes as their own sources: create, acquire, get, iterReady; sources of one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum

import pytest
from lazr.enum import DBEnumeratedType, DBItem
from sqlalchemy import event, select
from sqlalchemy.orm import Session
from zope.component import getUtility
from zope.interface.verify import verifyClass, verifyObject

from fooapp import (
    ActJob,
    DoFooJob,
    Foo,
    FooJob,
    FooJobType,
    HandmadeJob,
    HandmadeSource,
    IDoFooJobSource,
    handmade_source,
)
from instances import Instance
from jobcron import (
    BaseRunnableJob,
    ConfigurationError,
    DuplicateJobType,
    IJob,
    IJobSource,
    InvalidJobData,
    IRunnableJob,
    Job,
    JobStatus,
    NoSession,
    UnknownJobType,
)
from jobcron.jobs import registry
from jobcron.jobs.family import EnumItem, title_of
from jobcron.testing import JobFactory


@pytest.fixture
def foo(session: Session) -> Foo:
    """Return a foo that is in the database."""
    foo = Foo()
    session.add(foo)
    session.flush()
    return foo


@pytest.mark.feature("LP-04", "LP-05", "LP-03")
def test_the_classes_provide_what_the_interfaces_ask_for(session: Session, foo: Foo) -> None:
    assert verifyObject(IRunnableJob, DoFooJob.create(foo))
    assert verifyClass(IJob, Job)
    assert verifyObject(IDoFooJobSource, DoFooJob)
    assert verifyObject(IJobSource, handmade_source)
    assert verifyClass(IRunnableJob, HandmadeJob)


@pytest.mark.feature("LP-07")
def test_the_class_is_the_utility_of_its_source_interface() -> None:
    assert getUtility(IDoFooJobSource) is DoFooJob


def test_an_interface_that_several_classes_provide_names_no_source(instance: Instance) -> None:
    instance.configure(sections="[foos]\nsource_interface: fooapp.IFooJobSource\n")
    with pytest.raises(ConfigurationError, match=r"found several: fooapp\.ActJob, fooapp\.DoFooJob"):
        instance.run("foos")


@pytest.mark.feature("LP-06")
def test_a_job_wraps_its_family_row_which_leads_to_the_shared_row(session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo, metadata={"colour": "blue"})
    assert isinstance(job.context, FooJob)
    assert isinstance(job.context.job, Job)
    assert job.context.foo is foo
    assert job.context.job_type is FooJobType.DO_FOO
    assert job.context.job_type.title == "Do foo"
    assert job.id == job.context.id == job.context.job.id
    assert job.metadata == {"colour": "blue"}
    assert job.status is job.context.job.status is JobStatus.WAITING
    job.metadata["shape"] = "round"
    session.flush()
    session.expire_all()
    assert DoFooJob.get(job.id).metadata == {"colour": "blue", "shape": "round"}


@pytest.mark.feature("LP-06")
def test_two_classes_with_one_type_are_an_error_that_names_both() -> None:
    with pytest.raises(DuplicateJobType, match=r"fooapp\.DoFooJob and .*Impostor"):

        class Impostor(BaseRunnableJob[FooJob]):
            class_job_type = FooJobType.DO_FOO

            def run(self) -> None: ...

    assert registry.class_of("foo_job.DO_FOO") is DoFooJob


def test_a_type_without_a_class_is_an_error_that_says_so() -> None:
    with pytest.raises(UnknownJobType, match=r"foo_job\.NEVER"):
        registry.class_of("foo_job.NEVER")


@pytest.mark.feature("LP-06")
def test_enums_of_lazr_and_of_the_standard_library_both_work() -> None:
    class LazrType(DBEnumeratedType):  # type: ignore[misc]
        ONE = DBItem(1, "The first\n\nSay more.")

    class PlainType(Enum):
        ANOTHER_ONE = 1

    for item, title in ((LazrType.ONE, "The first"), (PlainType.ANOTHER_ONE, "Another one")):
        enum = LazrType if item is LazrType.ONE else PlainType
        column = EnumItem(enum)
        assert title_of(item) == title
        assert column.process_bind_param(item, None) == 1  # type: ignore[arg-type]
        assert column.process_result_value(1, None) is item  # type: ignore[arg-type]
        assert column.process_result_value(99, None) == 99  # type: ignore[arg-type]


@pytest.mark.feature("LP-08")
def test_a_job_that_is_rolled_back_never_existed(instance: Instance) -> None:
    with instance.database.session() as session:
        DoFooJob.create(instance.foo(session))
        session.rollback()
    assert instance.rows() == []
    assert instance.query("SELECT * FROM foo_job") == []


def test_a_type_that_is_rolled_back_is_made_again(instance: Instance) -> None:
    for end in ("rollback", "commit"):
        with instance.database.session() as session:
            DoFooJob.create(instance.foo(session))
            getattr(session, end)()
    assert [job.status for job in instance.rows()] == [JobStatus.WAITING]


@pytest.mark.feature("LP-09")
def test_acquire_only_acquires_one(session: Session, foo: Foo) -> None:
    job = DoFooJob.acquire(foo)
    assert DoFooJob.acquire(foo) == job
    assert len(list(DoFooJob.iterReady())) == 1
    other = Foo()
    session.add(other)
    session.flush()
    assert DoFooJob.acquire(other) != job
    assert ActJob.acquire(foo) != job


@pytest.mark.feature("LP-09")
def test_acquire_finds_a_job_that_create_made(session: Session, foo: Foo) -> None:
    assert DoFooJob.acquire(foo) != DoFooJob.create(foo)
    second = Foo()
    session.add(second)
    session.flush()
    created = DoFooJob.create(second)
    assert DoFooJob.acquire(second) == created


@pytest.mark.feature("LP-09")
@pytest.mark.parametrize(
    ("moves", "same"),
    [
        ([], True),
        (["suspend"], True),
        (["start"], False),
        (["start", "complete"], False),
        (["start", "fail"], False),
        (["cancel"], False),
    ],
)
@pytest.mark.parametrize("way", ["acquire", "create"])
def test_acquire_makes_a_new_job_once_the_old_one_has_started(
    session: Session, foo: Foo, moves: list[str], same: bool, way: str
) -> None:
    old = getattr(DoFooJob, way)(foo)
    for move in moves:
        getattr(old.job, move)()
    assert (DoFooJob.acquire(foo) == old) is same


@pytest.mark.feature("LP-10")
def test_iter_ready_yields_what_is_due_and_free_in_order(session: Session, foo: Foo) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    late = DoFooJob.create(foo)
    early = DoFooJob.create(foo, scheduled_start=now - hour)
    urgent = DoFooJob.create(foo, priority=-5)
    DoFooJob.create(foo, scheduled_start=now + hour)
    DoFooJob.create(foo, expires_at=now - hour)
    DoFooJob.create(foo).job.acquireLease()
    DoFooJob.create(foo).job.suspend()
    ActJob.create(foo)
    assert list(DoFooJob.iterReady()) == [urgent, early, late]


@pytest.mark.feature("LP-11")
def test_oops_vars_of_the_base_are_extended_by_the_family(session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo)
    oops_vars = job.getOopsVars()
    assert ("job_id", job.job.id) in oops_vars
    assert ("foo_id", foo.id) in oops_vars
    assert ("foo_job_id", job.context.id) in oops_vars
    assert ("foo_job_type", job.context.job_type.title) in oops_vars


def test_equality_is_by_class_and_job(session: Session, foo: Foo) -> None:
    job = DoFooJob.create(foo)
    assert DoFooJob.get(job.id) == job
    assert hash(DoFooJob.get(job.id)) == hash(job)
    assert DoFooJob.create(foo) != job
    assert job != "job"
    with pytest.raises(LookupError, match=r"foo_job\.ACT"):
        ActJob.get(job.id)


def test_class_attributes_are_defaults_of_the_row_and_arguments_go_before_them(session: Session, foo: Foo) -> None:
    assert ActJob.create(foo).max_retries == 1
    assert ActJob.create(foo, max_retries=7).max_retries == 7
    assert ActJob.create(foo, max_retries=None).max_retries is None
    assert DoFooJob.create(foo).max_retries == 0
    assert DoFooJob.create(foo, requester="me", description="why").job.description == "why"


def test_a_value_without_a_column_is_refused_by_name(session: Session, foo: Foo) -> None:
    with pytest.raises(InvalidJobData, match="got prioritty"):
        DoFooJob.create(foo, prioritty=3)


def test_a_target_that_is_not_in_the_database_has_no_key(session: Session) -> None:
    with pytest.raises(InvalidJobData, match="to be in a session, it is in none"):
        DoFooJob.acquire(Foo(), session=session)


def test_without_any_session_create_says_how_to_give_one() -> None:
    with pytest.raises(NoSession, match="pass session="):
        DoFooJob.create(Foo())


def test_a_naive_time_is_refused(session: Session, foo: Foo) -> None:
    with pytest.raises(InvalidJobData, match="to be a datetime with a time zone"):
        DoFooJob.create(foo, scheduled_start=datetime(2026, 1, 1))


class Errand(Enum):
    """Jobs without a table."""

    RUN_ERRAND = 1


class ErrandJob(BaseRunnableJob[Job]):
    """Has nothing but the shared row."""

    class_job_type = Errand.RUN_ERRAND

    def run(self) -> None:
        """Note it."""
        self.metadata["done"] = True


def test_a_type_may_have_no_table_of_its_own(session: Session) -> None:
    job = ErrandJob.create(metadata={"buy": "milk"})
    assert job.context is job.job
    assert [j.metadata for j in ErrandJob.iterReady()] == [{"buy": "milk"}]
    assert ErrandJob.acquire(unique_key="milk") == ErrandJob.acquire(unique_key="milk")


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


def test_a_row_of_a_type_that_nobody_knows_is_in_nobodys_way(instance: Instance) -> None:
    with instance.session() as session:
        stray = JobFactory(session).makeJob(type_name="foo_job.GONE").id
        session.add(FooJob(id=stray, job=session.get_one(Job, stray), job_type=99, foo=instance.foo(session)))
        job = DoFooJob.create(instance.foo(session)).job.id
    instance.run("do_foo")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert instance.row(stray).status is JobStatus.WAITING
    with instance.session() as session:
        assert len(session.scalars(select(FooJob)).all()) == 2


def test_a_job_whose_family_row_is_missing_fails_and_is_in_nobodys_way(instance: Instance) -> None:
    with instance.session() as session:
        broken = DoFooJob.create(instance.foo(session)).job.id
        good = [DoFooJob.create(instance.foo(session)).job.id for _ in range(3)]
    instance.query(f"DELETE FROM foo_job WHERE job = {broken}")
    instance.run("do_foo")
    assert instance.row(broken).status is JobStatus.FAILED
    assert "FooJob" in str(instance.row(broken).log)
    assert [instance.row(job).status for job in good] == [JobStatus.COMPLETED] * 3


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


@pytest.mark.feature("LP-09")
def test_acquire_wants_to_know_for_what(session: Session, foo: Foo) -> None:
    other = Foo()
    session.add(other)
    session.flush()
    assert DoFooJob.acquire(foo=foo, session=session) == DoFooJob.acquire(foo)
    assert DoFooJob.acquire(foo=other, session=session) != DoFooJob.acquire(foo)
    with pytest.raises(InvalidJobData, match="expected a target or unique_key"):
        DoFooJob.acquire(foo_id=foo.id, session=session)
    with pytest.raises(InvalidJobData, match="expected a target or unique_key"):
        ErrandJob.acquire()
    keyed = DoFooJob.acquire(foo, unique_key="monday")
    assert keyed == DoFooJob.acquire(other, unique_key="monday")
    assert keyed != DoFooJob.acquire(foo)


def test_the_number_of_a_type_that_was_never_committed_is_forgotten_with_the_session(
    instance: Instance,
) -> None:
    session = instance.database.session()
    DoFooJob.create(instance.foo(session))
    session.close()
    with instance.session() as other:
        ActJob.create(instance.foo(other))  # on SQLite it gets the same number
    job = DoFooJob.create(instance.foo(session)).job.id
    session.commit()
    session.close()
    instance.run("do_foo")
    assert instance.row(job).status is JobStatus.COMPLETED


def test_a_source_whose_type_was_renamed_is_not_looked_for_under_the_old_name(instance: Instance) -> None:
    instance.run("do_foo")
    with instance.session() as session:
        JobFactory(session).makeJob(type_name="foo_job.DO_FOO_OF_OLD")
    instance.query(
        "INSERT INTO jobcron_source (name, type, own_iter_ready) "
        "SELECT 'fooapp.DoFooJob', id, false FROM jobcron_type WHERE name = 'foo_job.DO_FOO_OF_OLD'"
    )
    instance.run("do_foo")
    names = instance.query(
        "SELECT t.name FROM jobcron_source AS s JOIN jobcron_type AS t ON t.id = s.type "
        "WHERE s.name = 'fooapp.DoFooJob'"
    )
    assert names == [("foo_job.DO_FOO",)]


@pytest.mark.parametrize("progress", [-1, 101, "half", 2**40, 1.5])
def test_progress_is_a_per_cent(session: Session, foo: Foo, progress: object) -> None:
    job = DoFooJob.create(foo)
    with pytest.raises(ValueError, match="from 0 to 100"):
        job.progress = progress  # type: ignore[assignment]
    job.progress = 100
    assert job.job.progress == 100


def test_the_number_of_a_type_is_looked_up_once_and_not_for_every_job(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        DoFooJob.create(foo)
        session.commit()
        statements: list[str] = []
        event.listen(
            instance.database.engine,
            "before_cursor_execute",
            lambda c, u, statement, *more: statements.append(statement),
        )
        for _ in range(3):
            DoFooJob.create(foo)
            session.commit()
    assert [s for s in statements if "jobcron_type" in s] == []


def test_a_type_that_went_with_a_savepoint_is_made_again(instance: Instance) -> None:
    instance.query("DELETE FROM jobcron_source")
    instance.query("DELETE FROM jobcron_type")
    with instance.session() as session:
        foo = instance.foo(session)
        nested = session.begin_nested()
        DoFooJob.create(foo)
        nested.rollback()
        job = DoFooJob.create(foo)
        number = job.id
    assert instance.row(number).type_id in {n for (n,) in instance.query("SELECT id FROM jobcron_type")}


@pytest.mark.feature("LP-06")
def test_a_family_row_goes_with_its_job(instance: Instance) -> None:
    with instance.session() as session:
        job = DoFooJob.create(instance.foo(session), session=session)
        session.commit()
        session.delete(job.job)
    assert instance.rows() == []
    assert instance.query("SELECT count(*) FROM foo_job") == [(0,)]
