"""Changes inside a job's metadata: kept at any depth, in a job and in the application's own sessions."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import Session

from fooapp import ActJob, Foo
from instances import Instance
from jobcron import Job, JobStatus, RetryableJobError, SuspendJobException
from jobcron.jobs.arguments.document import is_same

DATA = {"done": [1], "deep": {"list": [{"n": 1}]}, "flat": 1}

Change = Callable[[dict[str, Any]], object]

CHANGES: list[tuple[Change, str, object]] = [
    (lambda data: data["done"].append(2), "done", [1, 2]),
    (lambda data: data["deep"]["list"][0].update(n=2), "deep", {"list": [{"n": 2}]}),
    (lambda data: data["deep"]["list"].pop(), "deep", {"list": []}),
    (lambda data: data.get("done").append(2), "done", [1, 2]),  # type: ignore[union-attr]
    (lambda data: dict(data)["done"].append(2), "done", [1, 2]),
    (lambda data: {**data}["done"].append(2), "done", [1, 2]),
    (lambda data: (data | {})["done"].append(2), "done", [1, 2]),
    (lambda data: ({} | data)["done"].append(2), "done", [1, 2]),
    (lambda data: data.copy()["done"].append(2), "done", [1, 2]),
    (lambda data: [v for v in data.values() if isinstance(v, list)][0].append(2), "done", [1, 2]),
    (lambda data: [v for k, v in data.items() if k == "done"][0].append(2), "done", [1, 2]),
    (lambda data: data.setdefault("done", []).append(2), "done", [1, 2]),
    (lambda data: data["done"].__setitem__(0, True), "done", [True]),
    (lambda data: data["done"].__setitem__(0, 1.0), "done", [1.0]),
]


def create(instance: Instance, **data: object) -> int:
    with instance.session() as session:
        return ActJob.create(instance.foo(session), metadata=data, session=session).job.id


def found(instance: Instance, number: int, key: str) -> object:
    data: object = instance.row(number).json_data[key]
    return data


@pytest.mark.feature("LP-05")
@pytest.mark.parametrize("change", CHANGES)
def test_a_nested_change_by_the_application_is_kept_by_its_commit(
    instance: Instance, change: tuple[Change, str, object]
) -> None:
    do, key, expected = change
    number = create(instance, **DATA)
    with Session(instance.database.engine) as session:
        do(ActJob.get(number, session=session).metadata)
        gc.collect()  # nothing refers to the job any more
        session.commit()
    assert is_same(found(instance, number, key), expected)


@pytest.mark.feature("LP-05")
@pytest.mark.parametrize("change", CHANGES[:2])
def test_a_nested_change_by_a_job_is_kept(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, change: tuple[Change, str, object]
) -> None:
    do, key, expected = change
    number = create(instance, **DATA)
    monkeypatch.setattr(ActJob, "run", lambda job: do(job.metadata))
    instance.run("act")
    assert instance.row(number).status is JobStatus.COMPLETED
    assert is_same(found(instance, number, key), expected)


@pytest.mark.feature("LP-05")
def test_what_a_job_changes_between_and_after_its_checkpoints_is_kept_whoever_commits(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: ActJob) -> None:
        done = job.metadata["done"]
        done.append(2)
        job.checkpoint()
        seen.append(found(instance, number, "done"))
        done.append(3)
        job.session.commit()
        seen.append(found(instance, number, "done"))
        done.append(4)
        job.session.execute(select(Foo)).all()
        done.append(5)
        raise ValueError("the rest is undone")

    seen: list[object] = []
    number = create(instance, **DATA)
    monkeypatch.setattr(ActJob, "run", run)
    instance.run("act")
    assert seen == [[1, 2], [1, 2, 3]]
    assert found(instance, number, "done") == [1, 2, 3]


@pytest.mark.feature("LP-05")
def test_what_was_given_and_is_changed_later_is_kept_and_a_rollback_forgets(instance: Instance) -> None:
    number = create(instance)
    with Session(instance.database.engine) as session:
        given: list[int] = []
        job = ActJob.get(number, session=session)
        job.metadata["done"] = given
        session.flush()
        given.append(1)
        session.flush()  # nothing but a nested change: the session seems clean
        given.append(2)
        assert session.scalars(select(Job.json_data).where(Job.id == number)).one() == {"done": [1, 2]}
        given.append(3)
        session.commit()
        job.metadata["done"].append(4)
        session.rollback()
        assert job.metadata["done"] == [1, 2, 3]
        whole = {"a": [1]}
        job.metadata = whole
        session.flush()
        whole["a"].append(2)
        session.commit()
    assert instance.row(number).json_data == {"a": [1, 2]}


@pytest.mark.feature("LP-05")
def test_a_savepoint_that_is_undone_takes_only_the_changes_since_it_began(instance: Instance) -> None:
    number = create(instance, **DATA)
    with Session(instance.database.engine) as session:
        job = ActJob.get(number, session=session)
        job.metadata["done"].append(2)
        with session.begin_nested() as savepoint:
            job.metadata["done"].append(3)
            session.add(Foo(name="flushes"))
            session.flush()
            savepoint.rollback()
        assert job.metadata["done"] == [1, 2]
        session.commit()
    assert found(instance, number, "done") == [1, 2]


@pytest.mark.feature("LP-05")
def test_documents_that_nobody_changes_are_not_written_again(instance: Instance) -> None:
    statements: list[str] = []
    create(instance, **DATA)
    engine = create_engine(instance.database.engine.url)
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    with Session(engine) as session:
        for job in ActJob.iterReady(session=session):
            assert dict(job.metadata) == DATA
        session.flush()
        session.commit()
    engine.dispose()
    assert not [text for text in statements if text.startswith("UPDATE")]


@pytest.mark.feature("LP-05")
def test_a_job_that_read_its_data_before_its_run_began_keeps_what_it_changes(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(job: ActJob, context: Any) -> None:
        original(job, context)
        lists[job.job.id] = job.metadata["done"]

    lists: dict[int, list[int]] = {}
    original = ActJob.__init__
    numbers = [create(instance, **DATA) for _ in range(2)]
    lists.clear()
    monkeypatch.setattr(ActJob, "__init__", begin)
    monkeypatch.setattr(ActJob, "run", lambda job: lists[job.job.id].append(2))
    instance.run("act")
    assert [found(instance, number, "done") for number in numbers] == [[1, 2]] * 2


def test_values_that_are_written_differently_are_not_the_same() -> None:
    assert is_same({"a": [1, (2, "x")]}, {"a": [1, (2, "x")]})
    different = [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ([1], (1,)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1], [1, 2]),
    ]
    assert not any(is_same(one, other) or is_same([one], [other]) for one, other in different)


@pytest.mark.parametrize("end", ["fail", "retry", "suspend", "checkpoint"])
def test_a_change_inside_the_data_of_an_attempt_that_did_not_succeed_is_undone(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    errors: dict[str, Exception] = {
        "retry": RetryableJobError("later", seconds=3600),
        "suspend": SuspendJobException("later"),
    }

    def run(job: ActJob) -> None:
        done: Any = job.metadata["done"]
        if end == "checkpoint":
            done.append("kept")
            job.checkpoint()
        done.append("lost")  # no transaction has begun, and none begins
        raise errors.get(end, ValueError("the effect failed"))

    monkeypatch.setattr(ActJob, "run", run)
    with instance.session() as session:
        job = ActJob.create(instance.foo(session), session=session, metadata={"done": ["before"]}).job.id
    instance.run("act")
    assert instance.row(job).json_data["done"] == (["before", "kept"] if end == "checkpoint" else ["before"])
