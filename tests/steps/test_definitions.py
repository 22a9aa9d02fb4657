"""Definitions of jobs of several tasks in code: what one may say, and what is refused where it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

import stepsapp
from instances import Instance
from jobcron import IncompleteJobType
from jobcron.jobs import registry
from jobcron.steps import StepsJob, create, define, job_class
from steps_jobs import look, make, notes


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test defines be forgotten at its end."""
    monkeypatch.setattr(registry, "_classes", dict(registry.registered()))


def work(job: Any) -> None:
    """Be a task."""


def wait(job: Any) -> Iterator[int]:
    """Be a task that does nothing before somebody iterates."""
    yield 1


@pytest.mark.feature("DBQ-01")
def test_decorated_functions_are_the_tasks_in_their_order(steps: Instance) -> None:
    job_id = make(steps, "decorated")
    assert steps.row(job_id).max_retries == 1
    steps.run("decorated")
    assert notes(steps, job_id) == ["one", "two", "one"]
    assert look(steps, "decorated", job_id)["state"] == "COMPLETE"


@pytest.mark.feature("DBQ-01")
def test_a_class_with_a_name_gets_its_tasks_by_its_decorator_too() -> None:
    class Grown(StepsJob):
        name = "grown"

    assert Grown.task(work) is work
    assert Grown.task_names() == [f"{__name__}.work"]
    with pytest.raises(IncompleteJobType, match=r"decorates to be in .*, got stepsapp.first: let the "):
        Grown.task(stepsapp.first)
    with pytest.raises(IncompleteJobType, match=r"run by a call, got a function with yield"):
        Grown.task(wait)


@pytest.mark.feature("DBQ-01")
def test_a_definition_that_got_no_task_makes_no_job(session: Session) -> None:
    define("unfinished")
    with pytest.raises(IncompleteJobType, match=rf"expected {__name__}.unfinished to have tasks"):
        create("unfinished")


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: define("d", []), "expected d to have tasks, it has none"),
    (lambda: define("d", "a.b"), rf"tasks of {__name__}.d to be a list, got str: 'a.b'"),
    (lambda: define("d", {work}), rf"tasks of {__name__}.d to be a list, got set"),  # type: ignore[arg-type]
    (lambda: define("d", [5]), r"tasks of .*\.d to be functions or their dotted names, got int: 5"),  # type: ignore[list-item]
    (lambda: define("d", ["work"]), r"tasks of .*\.d to be functions or their dotted names, got str: 'work'"),
    (lambda: define("d", [stepsapp.lazy]), r"tasks of .*\.d .*, run by a call, got async def: <function lazy"),
    (lambda: define("d", [wait]), r"tasks of .*\.d .*, run by a call, got a function with yield: <function wait"),
    (lambda: define("", [work]), r"to have a name of 1 to 100 printable characters, got ''"),
    (lambda: define("d", [work], failure_hok=work), r"options of d to be hooks \(.*\) or .*, got failure_hok"),
    (lambda: define("d", [work], failure_hook=5), r"failure_hook of .*\.d to be a function or .*, got int: 5"),
    (lambda: define("d", [work], pre_task_hook=wait), r"pre_task_hook of .*\.d .*, got a function with yield"),
    (
        lambda: define("d", [work], priority="high"),
        r"priority of .*\.d to be a whole number .*, got str: 'high'",
    ),
    (lambda: define("d", [work], max_retries=-1), r"max_retries of .*\.d to be a whole number, .*, got int: -1"),
    (lambda: define("d", [work], max_retries="3"), r"max_retries of .*\.d to be a whole number, .*, got str: '3'"),
    (
        lambda: define("d", [work], default_queue="a b"),
        r"default_queue of .*\.d to be a letter, .* got str: 'a b'",
    ),
]


@pytest.mark.feature("DBQ-01", "DBQ-07")
@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong_with_a_definition_is_refused_where_it_is_made(
    wrong: Callable[[], Any], message: str
) -> None:
    with pytest.raises(IncompleteJobType, match=message):
        wrong()
    assert "steps.d" not in registry.registered()


@pytest.mark.feature("DBQ-01", "DBQ-07")
def test_a_class_is_checked_as_well_and_may_name_attributes_of_its_own() -> None:
    with pytest.raises(IncompleteJobType, match=r"post_task_hook of .*Wrong to be a function .*, got list"):

        class Wrong(StepsJob):
            name = "wrong"
            tasks = [work]
            post_task_hook = [work]  # type: ignore[assignment]

    class Base(StepsJob):
        priority = 3

    class Right(Base):
        name, tasks, anything = "right", [work], 5

    assert Right.job_defaults["priority"] == 7


@pytest.mark.feature("DBQ-02")
def test_a_task_whose_work_would_still_have_to_be_run_has_failed(
    steps: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepsapp.Plain, "tasks", [lambda job: stepsapp.lazy(job), lambda job: iter(wait(job))])
    jobs = [make(steps, "plain"), make(steps, "plain")]
    with steps.session() as session:
        names = job_class("plain").task_names()
        job = job_class("plain").get(jobs[1], session=session)
        job.job.steps = {**(job.job.steps or {}), "done": names[:1], "todo": names[1:]}
    steps.run("plain")
    for job_id, kind in zip(jobs, ("coroutine", "generator"), strict=True):
        assert look(steps, "plain", job_id)["state"] == "FAILED"
        assert f"to do its work when it is called, got {kind}, which" in (steps.row(job_id).log or "")


@pytest.mark.feature("DBQ-01")
def test_check_config_finds_a_task_of_a_class_that_is_not_there(steps: Instance) -> None:
    path = steps.path / "jobcron.conf"
    (steps.path / "brokenapp.py").write_text(
        "from jobcron.steps import define\nfrom stepsapp import *\nBroken = define('broken', ['stepsapp.gone'])\n"
    )
    replaced = {
        "python_path:": f"python_path: {steps.path}",
        "stepsapp:register": "brokenapp:register",
        "stepsapp.Plain": "brokenapp.Broken",
    }
    text = path.read_text()
    for old, new in replaced.items():
        text = text.replace(old, new)
    path.write_text(text)
    out, _ = steps.command("check-config", expect=2)
    assert "brokenapp.broken: expected gone in stepsapp to be a function, found no such name" in out
