"""Many jobs at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from fooapp import ActJob, DoFooJob, Foo
from instances import Instance
from jobcron import BaseRunnableJob, InvalidJobData, Job, JobStatus, JobType, NoSession


class BulkJobType(JobType):
    """Types of jobs for these tests."""

    LETTER = 1


class LetterJob(BaseRunnableJob):
    """Has no table of its own."""

    class_job_type = BulkJobType.LETTER
    target: Foo | None
    template: str
    copies: int = 1

    def run(self) -> None:
        """Write."""
        assert self.target is not None
        self.target.name = f"{self.copies} {self.template}"


@pytest.fixture
def foos(session: Session) -> list[Foo]:
    """Return foos that are not flushed yet."""
    foos = [Foo(name=str(number)) for number in range(3)]
    session.add_all(foos)
    return foos


def values_of(job: BaseRunnableJob[Any]) -> dict[str, Any]:
    """Return what a job's rows hold, apart from what is a job's own."""
    own = {"id", "uuid", "date_created", "scheduled_start", "job"}
    rows = {job.job, job.context}
    return {c.key: getattr(row, c.key) for row in rows for c in row.__mapper__.column_attrs if c.key not in own}


@pytest.mark.feature("LP-34")
def test_the_rows_are_those_that_create_makes(session: Session, foos: list[Foo]) -> None:
    common: dict[str, Any] = {"max_retries": None, "requester": "me"}
    special: dict[str, Any] = {
        "priority": -3,
        "metadata": {"do": [["write", "x"]]},
        "max_retries": 4,
        "scheduled_start": None,
    }
    one = [ActJob.create(foos[0], **common), ActJob.create(foos[1], **{**common, **special})]
    numbers = ActJob.createMultiple([foos[0], {"target": foos[1], **special}], **common)
    many = [ActJob.get(number) for number in numbers]
    assert [values_of(job) for job in many] == [values_of(job) for job in one]
    assert len({job.job.uuid for job in many} | {job.job.uuid for job in one}) == 4
    assert many[0].scheduled_start <= datetime.now(UTC) + timedelta(minutes=1)
    assert [job.context.foo for job in many] == foos[:2]


@pytest.mark.feature("LP-34")
def test_jobs_without_a_table_keep_their_target_and_their_arguments(session: Session, foos: list[Foo]) -> None:
    first, second = LetterJob.createMultiple(
        [{"target": foos[0]}, {"target": foos[1], "copies": 2, "template": "bye"}], template="hello"
    )
    one, two = LetterJob.get(first), LetterJob.get(second)
    assert (one.target, one.template, one.copies) == (foos[0], "hello", 1)
    assert (two.target, two.template, two.copies) == (foos[1], "bye", 2)
    assert (one.status, one.max_retries) == (JobStatus.WAITING, 0)


@pytest.mark.feature("LP-34")
def test_the_numbers_are_in_the_order_of_the_jobs_and_the_jobs_are_run(instance: Instance) -> None:
    with instance.session() as session:
        foos = [instance.foo(session, str(number)) for number in range(1200)]
        values = [{"target": foo, "priority": -foo.id} if foo.id % 3 else {"target": foo} for foo in foos]
        numbers = DoFooJob.createMultiple(values, session=session)
        found = {job.id: job for job in DoFooJob.iterReady(session=session)}
        assert [found[number].context.foo for number in numbers] == foos
        assert [found[number].priority for number in numbers] == [-foo.id if foo.id % 3 else 10 for foo in foos]
        session.rollback()
        DoFooJob.createMultiple([instance.foo(session) for _ in range(20)], session=session)
    assert "Ran 20 DoFooJob jobs." in instance.run("do_foo")
    assert instance.query("SELECT count(*) FROM foo WHERE frozzled = 1") == [(20,)]


@pytest.mark.feature("LP-34")
@pytest.mark.parametrize(
    ("job_class", "wrong", "message"),
    [
        (LetterJob, {"template": 5}, "job 3: expected template of LetterJob to be str"),
        (LetterJob, {}, "job 3: expected template for LetterJob"),
        (LetterJob, {"template": "x", "colour": "red"}, "job 3: expected names that LetterJob knows"),
        (LetterJob, {"template": "x", "target": "no object"}, "job 3: expected a mapped object"),
        (LetterJob, {"template": "x", "target": Foo()}, "job 3: expected the target .* to be in a session"),
        (DoFooJob, {"metadata": {"deep": object()}}, "job 3: expected metadata of DoFooJob"),
    ],
    ids=["type", "missing", "unknown", "no target", "elsewhere", "no JSON"],
)
def test_one_that_does_not_fit_is_named_and_none_is_made(
    session: Session, foos: list[Foo], job_class: type[Any], wrong: dict[str, Any], message: str
) -> None:
    right = {"target": foos[0], **({"template": "x"} if job_class is LetterJob else {})}
    with pytest.raises(InvalidJobData, match=message):
        job_class.createMultiple([right, right, {"target": foos[1], **wrong}])
    assert session.query(Job).all() == []


@pytest.mark.feature("LP-34")
def test_none_at_all_is_no_mistake(session: Session) -> None:
    assert DoFooJob.createMultiple([]) == []


def test_without_any_session_it_says_how_to_give_one() -> None:
    with pytest.raises(NoSession):
        LetterJob.createMultiple([{"template": "x"}])


@pytest.mark.feature("LP-34", "LP-08")
def test_they_are_in_the_callers_transaction(instance: Instance) -> None:
    with instance.session() as session:
        DoFooJob.createMultiple([instance.foo(session)] * 3)
        session.rollback()
        DoFooJob.createMultiple([instance.foo(session)] * 2)
    assert len(instance.rows()) == 2


@pytest.mark.feature("LP-34")
def test_ten_thousand_take_few_statements_and_little_time(instance: Instance) -> None:
    statements: list[str] = []
    with instance.session() as session:
        foo = instance.foo(session)
        started = time.perf_counter()
        for _ in range(500):
            DoFooJob.create(foo, session=session)
        one_by_one = (time.perf_counter() - started) / 500
        event.listen(instance.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        started = time.perf_counter()
        DoFooJob.createMultiple([foo] * 10_000, session=session)
        at_once = (time.perf_counter() - started) / 10_000
    assert len(statements) < 60
    assert at_once * 2 < one_by_one, f"{at_once * 1e6:.0f} µs each, {one_by_one * 1e6:.0f} µs one by one"
