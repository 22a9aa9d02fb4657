"""Sessions of jobs: nothing that an earlier transaction read is trusted, and a session is one attempt's alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import ForeignKeyConstraint, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column

from fooapp import ActJob, Foo, Ledger, OwnReadyJob
from instances import Instance
from jobcron import JobStatus
from jobcron.errors import ChangedMeanwhile, WrongSession

Run = Callable[[Any], None]
Make = Callable[..., list[int]]


@pytest.fixture
def make(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes jobs that run as it is told; all are about one foo, if wanted.

    A job that is interrupted runs again at once.
    """
    monkeypatch.setattr("jobcron.queue.error_rules.back_off", lambda *arguments: 0.0)

    def make(run: Run, count: int = 1, *, one_foo: bool = False, job_class: Any = ActJob) -> list[int]:
        monkeypatch.setattr(job_class, "run", run)
        with instance.session() as session:
            foo = instance.foo(session)
            foos = [foo if one_foo or not number else instance.foo(session) for number in range(count)]
            return [job_class.create(foo, session=session).job.id for foo in foos]

    return make


def add(instance: Instance, count: int) -> None:
    """Add to each foo's counter, as the web does meanwhile, and commit."""
    with instance.session() as session:
        session.execute(text("UPDATE foo SET frozzled = frozzled + :count"), {"count": count})


def frozzled(instance: Instance) -> list[int]:
    return [count for (count,) in instance.query("SELECT frozzled FROM foo ORDER BY id")]


@pytest.mark.feature("N-13")
def test_a_change_that_others_commit_before_the_job_writes_is_not_lost(instance: Instance, make: Make) -> None:
    runs = []

    def run(job: Any) -> None:
        runs.append(job.context.foo.frozzled)
        if len(runs) == 1:
            add(instance, 100)
        job.context.foo.frozzled += 1

    (job,) = make(run)
    log = instance.run("act")
    assert runs == [0, 100]
    assert frozzled(instance) == [101]
    assert instance.row(job).status is JobStatus.COMPLETED
    assert "another session changed a row that the job had read" in log
    assert instance.oopses() == []


@pytest.mark.feature("N-13")
def test_what_was_read_before_a_checkpoint_is_read_again_after_it(instance: Instance, make: Make) -> None:
    def run(job: Any) -> None:
        job.context.foo.frozzled += 1
        job.checkpoint()
        add(instance, 100)
        job.session.execute(select(func.count()).select_from(Ledger))
        job.context.foo.frozzled += 1

    (job,) = make(run)
    instance.run("act")
    assert frozzled(instance) == [102]
    assert instance.row(job).attempt_count == 1


@pytest.mark.feature("N-13")
def test_a_value_that_was_reckoned_from_an_earlier_read_is_not_written_over_a_newer_one(
    instance: Instance, make: Make
) -> None:
    reads = []

    def run(job: Any) -> None:
        count = job.context.foo.frozzled
        reads.append(count)
        if len(reads) == 1:
            add(instance, 100)
        job.session.execute(text("SELECT 1"))
        job.context.foo.frozzled = count + 1

    make(run)
    instance.run("act")
    assert reads == [0, 100]
    assert frozzled(instance) == [101]


@pytest.mark.feature("N-13")
def test_a_column_that_others_change_is_kept_where_the_job_changes_another(instance: Instance, make: Make) -> None:
    def run(job: Any) -> None:
        add(instance, 7)
        job.context.foo.name = "new"

    (job,) = make(run)
    instance.run("act")
    assert instance.query("SELECT name, frozzled FROM foo") == [("new", 7)]
    assert instance.row(job).attempt_count == 1


@pytest.mark.feature("N-13")
def test_a_row_that_others_changed_is_not_deleted_by_a_job_that_read_it_before(
    instance: Instance, make: Make
) -> None:
    seen: list[int] = []

    def run(job: Any) -> None:
        other = job.session.get(Foo, int(job.metadata["other"]))
        seen.append(other.frozzled)
        job.session.commit()
        if len(seen) == 1:
            add(instance, 1)
        if other.frozzled == 0:  # nobody uses it
            job.session.delete(other)

    with instance.session() as session:
        other = instance.foo(session)
        session.flush()
        number = other.id
    make(run)
    with instance.session() as session:
        session.execute(text("UPDATE jobcron_job SET json_data = :data"), {"data": f'{{"other": {number}}}'})
    instance.run("act")
    assert seen == [0, 1]
    assert len(frozzled(instance)) == 2


@pytest.mark.feature("N-13")
def test_a_change_of_the_jobs_own_data_made_before_its_transaction_begins_is_saved(
    instance: Instance, make: Make
) -> None:
    def run(job: Any) -> None:
        data = job.metadata
        data["before"] = 1
        job.session.execute(text("SELECT 1"))
        data["after"] = 2
        job.checkpoint()
        data["later"] = 3

    (job,) = make(run)
    instance.run("act")
    found = instance.row(job).json_data
    assert (found["before"], found["after"], found["later"]) == (1, 2, 3)


@pytest.mark.feature("N-13")
def test_a_job_whose_row_is_always_changed_by_others_fails_in_the_end(
    instance: Instance, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobcron.queue.error_rules.MAX_DATABASE_INTERRUPTIONS", 2)

    def run(job: Any) -> None:
        count = job.context.foo.frozzled
        add(instance, 100)
        job.context.foo.frozzled = count + 1

    (job,) = make(run)
    instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
    assert "another session changed frozzled of Foo" in (instance.row(job).log or "")
    assert frozzled(instance)[0] % 100 == 0


@pytest.mark.feature("N-13")
def test_a_job_that_works_outside_after_reading_holds_nothing_meanwhile(instance: Instance, make: Make) -> None:
    def run(job: Any) -> None:
        assert job.context.foo.name == "foo"
        assert not job.session.in_transaction()
        add(instance, 1)  # on SQLite it would wait for the job's lock, for ever
        job.context.foo.name = "bar"
        job.checkpoint()
        assert job.context.foo.name == "bar"
        assert not job.session.in_transaction()
        add(instance, 1)

    (job,) = make(run)
    instance.run("act")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert frozzled(instance) == [2]


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("job_class", [ActJob, OwnReadyJob])
def test_jobs_of_a_batch_that_are_about_one_object_each_see_it_as_it_is(
    instance: Instance, make: Make, job_class: Any
) -> None:
    def run(job: Any) -> None:
        assert not job.session.in_transaction()
        job.session.execute(text("SELECT 1"))
        job.context.foo.frozzled += 1

    make(run, 5, one_foo=True, job_class=job_class)
    instance.run("act" if job_class is ActJob else "own_ready")
    assert frozzled(instance) == [5]


@pytest.mark.feature("N-14")
def test_what_a_job_changes_and_rolls_back_is_not_seen_by_the_next_job_about_the_same_object(
    instance: Instance, make: Make
) -> None:
    seen = []

    def run(job: Any) -> None:
        seen.append(job.context.foo.name)
        job.context.foo.name = f"by {job.job.id}"
        job.session.rollback()

    make(run, 3, one_foo=True)
    instance.run("act")
    assert seen == ["foo"] * 3


def error_of(use: Callable[[], object]) -> BaseException | None:
    """Return what something raises."""
    try:
        use()
    except BaseException as error:
        return error
    return None


@pytest.mark.feature("N-14")
def test_a_thread_that_a_job_leaves_behind_writes_into_no_other_job(instance: Instance, make: Make) -> None:
    go_on, done = threading.Event(), threading.Event()
    errors: list[BaseException | None] = []
    first: list[int] = []

    def write(session: Any, foo: Any) -> None:
        go_on.wait(30)
        foo.name = "changed by a thread"
        uses: list[Callable[[], object]] = [
            lambda: session.add(Ledger(job=0, attempt=0)),
            lambda: session.execute(text("SELECT 1")),
        ]
        errors.extend(map(error_of, uses))
        done.set()

    def run(job: Any) -> None:
        if not first:
            first.append(job.job.id)
            threading.Thread(target=write, args=(job.session, job.context.foo), daemon=True).start()
            return
        job.session.execute(text("SELECT 1"))
        go_on.set()
        assert done.wait(30)
        job.context.foo.frozzled += 1

    make(run, 2, one_foo=True)
    instance.run("act")
    assert instance.query("SELECT count(*) FROM ledger WHERE job = 0") == [(0,)]
    assert instance.query("SELECT name, frozzled FROM foo") == [("foo", 1)]
    assert [type(error) for error in errors] == [WrongSession] * 2
    assert f"ActJob (ID {first[0]})" in str(errors[0])
    assert "the job has ended" in str(errors[0])


@pytest.mark.feature("N-14")
def test_nor_does_it_where_a_source_finds_its_jobs_itself_and_they_share_a_session(
    instance: Instance, make: Make
) -> None:
    go_on, done = threading.Event(), threading.Event()
    errors: list[BaseException | None] = []
    first: list[int] = []

    def write(session: Any) -> None:
        go_on.wait(60)
        uses: list[Callable[[], object]] = [
            lambda: session.add(Ledger(job=0, attempt=0)),
            lambda: session.execute(text("DELETE FROM ledger")),
        ]
        errors.extend(map(error_of, uses))
        done.set()

    def run(job: Any) -> None:
        if not first:
            first.append(job.job.id)
            threading.Thread(target=write, args=(job.session,), daemon=True).start()
            return
        job.session.add(Ledger(job=job.job.id, attempt=1))
        job.session.flush()
        go_on.set()
        assert done.wait(60)

    jobs = make(run, 2, job_class=OwnReadyJob)
    instance.run("own_ready")
    (second,) = set(jobs) - set(first)
    assert [job for job, *_ in instance.ledger()] == [second]
    assert [type(error) for error in errors] == [WrongSession] * 2
    assert f"OwnReadyJob (ID {second})" in str(errors[0])


@pytest.mark.feature("N-14")
def test_another_thread_may_not_use_the_session_of_the_job_that_runs(instance: Instance, make: Make) -> None:
    errors: list[BaseException] = []

    def run(job: Any) -> None:
        session = job.session

        def strange() -> None:
            try:
                session.execute(text("SELECT 1"))
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=strange)
        thread.start()
        thread.join()

    (job,) = make(run)
    instance.run("act")
    assert instance.row(job).status is JobStatus.COMPLETED
    assert [type(error) for error in errors] == [WrongSession]
    assert "got another thread" in str(errors[0])


class Models(DeclarativeBase):
    """Mappings of other shapes than a plain table's."""


class Part(Models):
    __tablename__ = "part"
    __mapper_args__: Any = {"polymorphic_on": "kind", "polymorphic_identity": "part"}

    shelf: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    count: Mapped[int] = mapped_column(default=0)


Part.double = column_property(Part.count * 2)


class Screw(Part):
    __tablename__ = "screw"
    __table_args__ = (ForeignKeyConstraint(["shelf", "place"], ["part.shelf", "part.place"]),)
    __mapper_args__: Any = {"polymorphic_identity": "screw"}

    shelf: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    length: Mapped[int] = mapped_column(default=0)


@pytest.mark.feature("N-13")
@pytest.mark.parametrize("change", ["write", "delete"])
def test_rows_of_two_tables_with_two_keys_and_a_computed_column_are_compared_as_well(
    instance: Instance, change: str
) -> None:
    with instance.database.begin() as connection:
        Models.metadata.create_all(connection)
    with instance.session() as session:
        session.add(Screw(shelf=1, place=2))
    with instance.database.session() as session:
        screw = session.scalars(select(Screw)).one()
        session.commit()
        instance.query("UPDATE part SET count = 5")
        if change == "write":
            screw.count += 1
        else:
            session.delete(screw)
        with pytest.raises(ChangedMeanwhile, match="count of Screw"):
            session.commit()
        session.rollback()
        screw.count += 1
        session.commit()
    assert instance.query("SELECT count FROM part") == [(6,)]
