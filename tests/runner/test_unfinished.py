"""What a job, or what belongs to it, has only begun is no success."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

import fooapp
from fooapp import ActJob
from instances import Instance
from jobcron import BaseRunnableJob, IncompleteJobType, JobStatus, JobType, after_commit

pytestmark = [
    pytest.mark.filterwarnings("error::RuntimeWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


class LateJobType(JobType):
    """The type of classes that are refused."""

    LATE = 1


async def later(*arguments: Any) -> None:
    """Do nothing, later."""


async def later_each(*arguments: Any) -> Any:
    """Do nothing, later."""
    yield 1


def one_by_one(*arguments: Any) -> Iterator[Any]:
    """Do nothing, later."""
    yield 1


class Promise:
    """Something that can be awaited."""

    def __await__(self) -> Iterator[None]:
        yield None


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("run", later),
        ("run", one_by_one),
        ("run", later_each),
        ("afterFailure", later),
        ("notifyOops", one_by_one),
        ("notifyUserError", later),
        ("getOperationDescription", later),
        ("getOopsVars", later),
        ("getOopsRecipients", later_each),
        ("getErrorRecipients", later),
        ("contextManager", staticmethod(one_by_one)),
        ("iterReady", classmethod(later_each)),
        ("create", classmethod(later)),
        ("load", classmethod(one_by_one)),
    ],
)
def test_a_class_with_a_method_that_only_begins_its_work_is_refused(name: str, method: Any) -> None:
    members = {"class_job_type": LateJobType.LATE, "run": lambda self: None, name: method}
    with pytest.raises(IncompleteJobType, match=rf"expected {name} of .*LateJob to do its work"):
        type("LateJob", (BaseRunnableJob,), members)


def test_what_is_iterated_may_have_a_yield(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(self: Any) -> Iterator[tuple[str, object]]:
        yield "seen", "here"

    monkeypatch.setattr(ActJob, "getOopsVars", told)
    instance.act(("raise", "value"))
    instance.run("act")
    assert any("here" in path.read_text() for path in instance.oopses())


@pytest.mark.parametrize("begin", [later, one_by_one, later_each, Promise])
def test_a_job_that_returns_what_it_has_only_begun_has_failed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, begin: Callable[[], Any]
) -> None:
    monkeypatch.setattr(ActJob, "run", lambda self: begin())
    job = instance.act()
    instance.run("act")
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert "expected run of ActJob to do its work when it is called, got" in str(row.log)


@pytest.mark.parametrize("name", ["notifyOops", "getOopsRecipients"])
@pytest.mark.parametrize("begin", [later, later_each])
def test_a_notification_that_was_only_begun_is_told_of(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, name: str, begin: Any
) -> None:
    monkeypatch.setattr(ActJob, name, lambda self, *arguments: begin())
    job = instance.act(("raise", "value"))
    log = instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
    assert "Nobody could be told" in log
    assert f"expected {name} to do its work when it is called" in log


def test_variables_of_a_report_that_were_only_begun_are_told_of(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ActJob, "getOopsVars", lambda self: later())
    instance.act(("raise", "value"))
    instance.run("act")
    assert any("failed: IncompleteJobType" in path.read_text() for path in instance.oopses())


def test_a_failure_hook_that_was_only_begun_is_told_of(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ActJob, "afterFailure", lambda self, error: later(), raising=False)
    job = instance.act(("raise", "value"))
    log = instance.run("act")
    assert instance.row(job).status is JobStatus.FAILED
    assert "expected afterFailure to do its work when it is called" in log


@pytest.mark.parametrize("name", ["iterReady", "contextManager"])
def test_a_source_whose_method_was_only_begun_runs_nothing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = fooapp.OwnReadyJob
    monkeypatch.setattr(source, name, staticmethod(lambda **options: later()))
    with instance.session() as session:
        job = source.create(instance.foo(session), session=session).id
    with pytest.raises(IncompleteJobType, match=f"expected {name} to do its work"):
        instance.run("own_ready")
    assert instance.row(job).status is JobStatus.WAITING


def test_an_action_after_a_commit_that_would_only_begin_is_refused(session: Session) -> None:
    with pytest.raises(IncompleteJobType, match="got async def"):
        after_commit(session, later)
    after_commit(session, lambda: asyncio.sleep(0))
    session.add(fooapp.Foo())
    with pytest.raises(IncompleteJobType, match="expected an action after a commit to do its work"):
        session.commit()
