"""The first touch of a job's objects writes, ends and overwrites nothing of what the job has begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from fooapp import ActJob, Foo, FooJob, Ledger, UserError
from instances import Instance
from jobcron import JobStatus, after_commit, current_session

COUNT = 6
"""The first batch is one job, the second has four."""

Run = Callable[[ActJob, int], None]


@pytest.fixture(autouse=True)
def growing_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let batches grow in the same way on a slow machine: one job, four, one."""
    monkeypatch.setattr("jobcron.queue.type_feed.BATCH_SECONDS", 3600.0)


@pytest.fixture
def foos(instance: Instance) -> list[int]:
    """Commit jobs, each about a foo of its own; return the numbers of the foos."""
    with instance.session() as session:
        made = [instance.foo(session) for _ in range(COUNT)]
        for foo in made:
            ActJob.create(foo, session=session)
        return [foo.id for foo in made]


@pytest.fixture
def run_as(instance: Instance, foos: list[int], monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Return what runs the jobs, each with its place among them, from 0, and checks that all completed."""

    def run_all(run: Run) -> None:
        places = iter(range(COUNT))
        monkeypatch.setattr(ActJob, "run", lambda job: run(job, next(places)))
        log = instance.run("act")
        assert [row.status for row in instance.rows()] == [JobStatus.COMPLETED] * COUNT, log

    return run_all


def names(instance: Instance) -> set[str]:
    return {name for (name,) in instance.query("SELECT name FROM foo")}


@contextmanager
def listening(name: str, listener: Callable[..., None]) -> Iterator[None]:
    """Let an application listen to all sessions."""
    event.listen(Session, name, listener)
    try:
        yield
    finally:
        event.remove(Session, name, listener)


@pytest.mark.parametrize("has_begun", [False, True])
def test_an_object_that_is_not_complete_yet_is_not_written(
    instance: Instance, foos: list[int], run_as: Callable[[Run], None], has_begun: bool
) -> None:
    def run(job: ActJob, place: int) -> None:
        session = current_session()
        if has_begun:
            session.execute(select(Foo.id)).all()
        entry = Ledger(attempt=1)
        session.add(entry)
        with session.no_autoflush:
            entry.job = job.context.foo_id

    run_as(run)
    assert [job for job, _, _ in instance.ledger()] == foos


def test_without_a_statement_of_its_own_it_is_not_written_either(
    instance: Instance, foos: list[int], run_as: Callable[[Run], None]
) -> None:
    def run(job: ActJob, place: int) -> None:
        entry = Ledger(attempt=1)
        current_session().add(entry)
        entry.job = job.context.foo.id

    run_as(run)
    assert [job for job, _, _ in instance.ledger()] == foos


def test_a_change_that_is_not_written_yet_stays(
    instance: Instance, foos: list[int], run_as: Callable[[Run], None]
) -> None:
    def run(job: ActJob, place: int) -> None:
        session = current_session()
        with session.no_autoflush:
            foo = session.get_one(Foo, foos[place])
            foo.name = "written"
            assert job.context.foo is foo

    run_as(run)
    assert names(instance) == {"written"}


def test_an_object_that_the_job_brought_with_it_is_the_one(
    instance: Instance, foos: list[int], run_as: Callable[[Run], None]
) -> None:
    with instance.session() as session:
        cached = list(session.scalars(select(Foo).order_by(Foo.id)))
        session.expunge_all()

    def run(job: ActJob, place: int) -> None:
        session = current_session()
        foo = session.merge(cached[place], load=False)
        session.commit()  # of nothing: the job has had no connection
        assert job.context.foo is foo
        foo.name = "written"

    run_as(run)
    assert names(instance) == {"written"}


def test_who_listens_to_the_jobs_session_hears_of_its_own_commits_only(
    instance: Instance, run_as: Callable[[Run], None]
) -> None:
    heard: list[int] = []

    def run(job: ActJob, place: int) -> None:
        event.listen(current_session(), "after_commit", lambda session: heard.append(place))
        job.context.foo.name = "written"
        assert heard == list(range(place))

    run_as(run)
    assert heard == list(range(COUNT))
    assert names(instance) == {"written"}


def test_who_listens_to_all_sessions_hears_of_no_commit_in_the_middle_of_a_job(
    instance: Instance, run_as: Callable[[Run], None]
) -> None:
    waiting: list[int] = []
    sent: list[int] = []

    def send(session: Session) -> None:
        sent.extend(waiting)
        waiting.clear()

    def run(job: ActJob, place: int) -> None:
        waiting.append(place)
        job.context.foo.name = "written"
        assert place not in sent

    with listening("after_commit", send):
        run_as(run)
    assert sent == list(range(COUNT))


def test_what_an_application_adds_to_the_queries_of_a_job_hides_no_objects_of_its_neighbours(
    instance: Instance, foos: list[int], run_as: Callable[[Run], None]
) -> None:
    visible: list[int] = []

    def restrict(execution: ORMExecuteState) -> None:
        if execution.is_select:
            for number in visible:
                own = (
                    with_loader_criteria(Foo, Foo.id == number),
                    with_loader_criteria(FooJob, FooJob.foo_id == number),
                )
                execution.statement = execution.statement.options(*own)

    def run(job: ActJob, place: int) -> None:
        visible.append(foos[place])
        try:
            job.context.foo.name = "written"
            current_session().flush()
        finally:
            visible.clear()

    with listening("do_orm_execute", restrict):
        run_as(run)
    assert names(instance) == {"written"}


def test_a_job_whose_statement_failed_can_tell_its_number_before_it_undoes_it(
    instance: Instance, run_as: Callable[[Run], None]
) -> None:
    told: list[int] = []

    def run(job: ActJob, place: int) -> None:
        session = current_session()
        try:
            session.execute(text("SELECT nonsense"))
        except (OperationalError, ProgrammingError):
            told.append(job.id)
            session.rollback()
        job.context.foo.name = "written"

    run_as(run)
    assert told == [row.id for row in instance.rows()]
    assert names(instance) == {"written"}


@pytest.mark.parametrize("has_begun", [False, True])
def test_in_a_savepoint_that_is_undone_the_objects_are_as_before_afterwards(
    instance: Instance, run_as: Callable[[Run], None], has_begun: bool
) -> None:
    def run(job: ActJob, place: int) -> None:
        session = current_session()
        if has_begun:
            session.execute(select(Foo.id)).all()
        with session.begin_nested() as savepoint:
            job.context.foo.name = "undone"
            job.metadata["undone"] = [place]
            savepoint.rollback()
        assert job.context.foo.name == "foo"
        job.metadata["kept"] = [place]

    run_as(run)
    assert names(instance) == {"foo"}
    assert [dict(row.json_data) for row in instance.rows()] == [{"kept": [place]} for place in range(COUNT)]


def test_a_class_that_keeps_its_context_in_its_own_way_gets_it_as_it_is_made(
    instance: Instance, run_as: Callable[[Run], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(job: ActJob, row: FooJob) -> None:
        vars(job)["kept"] = row

    monkeypatch.setattr(ActJob, "context", property(lambda job: vars(job)["kept"], keep), raising=False)

    def run(job: ActJob, place: int) -> None:
        job.context.foo.name = "written"

    run_as(run)
    assert names(instance) == {"written"}


def test_a_job_that_has_failed_touches_its_objects_to_tell_people(
    instance: Instance, foos: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def fail(job: ActJob) -> None:
        raise UserError("not yours")

    monkeypatch.setattr(ActJob, "run", fail)
    monkeypatch.setattr(ActJob, "notifyUserError", lambda job, error: told.append(job.context.foo.id))
    log = instance.run("act")
    assert [row.status for row in instance.rows()] == [JobStatus.FAILED] * COUNT
    assert told == foos, log


def test_an_action_after_the_commit_touches_the_objects_of_the_job_that_is_over(
    foos: list[int], run_as: Callable[[Run], None]
) -> None:
    told: list[int] = []
    run_as(lambda job, place: after_commit(current_session(), lambda: told.append(job.context.foo.id)))
    assert told == foos


def test_what_another_thread_has_changed_is_not_committed_without_the_job(
    instance: Instance, foos: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(job: ActJob) -> None:
        job.context.foo.name = "changed"
        job.metadata["changed"] = [1]

    def run(job: ActJob) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(change, job).result()
        assert job.context.foo.name == "foo"
        raise UserError("not yours")

    monkeypatch.setattr(ActJob, "run", run)
    log = instance.run("act")
    assert [row.status for row in instance.rows()] == [JobStatus.FAILED] * COUNT
    assert log.count("user error") == COUNT, log
    assert names(instance) == {"foo"}
    assert [dict(row.json_data) for row in instance.rows()] == [{}] * COUNT
