"""The views of jobs and sources: what an object says of itself, and the default where it says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from zope.interface import implementer

from fooapp import ActJob
from instances import Instance
from jobcron import BaseRunnableJob, IRunnableJob, Job
from jobcron.interfaces import DEFAULT_LEASE_SECONDS
from jobcron.jobs.lease import Claim
from jobcron.queue._stand_ins import Bare, Unloadable
from jobcron.queue.loading import load_all, load_claimed
from jobcron.queue.views import RunnableView, SourceView


class Plain:
    """An object that says nothing of itself."""


@implementer(IRunnableJob)
class Own:  # type: ignore[misc]
    """A job that is none of our classes."""

    time_limit = timedelta(minutes=1)
    user_error_types = ValueError
    retry_error_types = (KeyError, OSError)
    retry_delay = 5
    memory_limit = 1000
    output_limit = 2000
    database_only = True

    def __init__(self) -> None:
        self.heard: list[object] = []

    def run(self) -> None:
        """Note it."""
        self.heard.append("run")

    def getOopsVars(self) -> Any:
        """Say what reports show, with a name that is no text."""
        return [(1, "one")]

    def notifyOops(self, oops: dict[str, object]) -> None:
        """Note it."""
        self.heard.append(oops)


def test_a_job_that_says_nothing_has_the_defaults_of_the_base_class() -> None:
    view = RunnableView(Plain())
    assert [view.row, view.time_limit, view.memory_limit, view.failure_hook] == [None] * 4
    assert view.user_error_types == view.retry_error_types == ()
    assert view.retry_delay == 600.0
    assert (view.retry_delay_limit, view.retry_backoff, view.retry_jitter) == (None, 1.0, 0.0)
    assert [view.database_only, view.tells_stopping, view.is_unloadable] == [False] * 3
    assert view.oops_variables() is None
    view.notify_oops({})
    view.notify_user_error(ValueError())
    assert view.process_limits(SourceView(Plain())) == (None, None, BaseRunnableJob.output_limit)


def test_a_job_of_its_own_class_says_what_differs() -> None:
    job = Own()
    view = RunnableView(job)
    assert (view.class_name, view.time_limit, view.retry_delay, view.database_only) == ("Own", 60.0, 5, True)
    assert view.user_error_types == (ValueError,)
    assert view.retry_error_types == (KeyError, OSError)
    assert view.oops_variables() == [("1", "one")]
    assert view.process_limits(SourceView(Plain())) == (60.0, 1000, 2000)
    view.run()
    view.notify_oops({"id": "OOPS-1"})
    assert job.heard == ["run", {"id": "OOPS-1"}]


def test_an_object_that_is_no_job_cannot_be_run() -> None:
    with pytest.raises(TypeError, match="adapt"):
        RunnableView(Plain()).run()


def test_what_stands_for_a_job_fails_when_it_is_run() -> None:
    with pytest.raises(ZeroDivisionError):
        RunnableView(Unloadable(ZeroDivisionError())).run()
    assert RunnableView(Unloadable(ZeroDivisionError())).is_unloadable
    with pytest.raises(NotImplementedError, match="nobody knows how to run"):
        RunnableView(Bare(None)).run()  # type: ignore[arg-type]


@pytest.mark.parametrize("nonsense", ["much", RuntimeError("no"), SystemExit(1)])
def test_a_limit_that_makes_no_sense_is_none_for_another_process(nonsense: object) -> None:
    class Odd:
        @property
        def time_limit(self) -> object:
            if isinstance(nonsense, BaseException):
                raise nonsense
            return nonsense

        output_limit = memory_limit = time_limit

    class Source:
        memory_limit = 7

    limits = RunnableView(Odd()).process_limits(SourceView(Source()))
    assert limits == (None, 7, BaseRunnableJob.output_limit)


def test_an_error_of_an_attribute_is_raised_when_it_is_read() -> None:
    class Odd:
        @property
        def retry_delay(self) -> float:
            raise ZeroDivisionError

    view = RunnableView(Odd())
    with pytest.raises(ZeroDivisionError):
        view.retry_delay  # noqa: B018


def test_a_source_that_says_nothing_has_defaults() -> None:
    view = SourceView(Plain())
    assert view.name.endswith("test_views.Plain")
    assert (view.type_name, view.memory_limit, view.lease_seconds) == ("", None, DEFAULT_LEASE_SECONDS)
    assert view.finds_ready_jobs_itself
    assert [view.is_source, view.has_run, view.loads_rows, view.database_only] == [False] * 4
    with view.context():
        pass


def test_a_class_of_jobs_says_what_it_has() -> None:
    view = SourceView(ActJob)
    assert view.is_source
    assert view.has_run
    assert view.loads_rows
    assert not view.finds_ready_jobs_itself
    assert view.type_name == ActJob.type_name
    assert view.lease_seconds == DEFAULT_LEASE_SECONDS


def test_the_context_of_a_source_is_entered_around_a_run() -> None:
    entered = []

    class Source:
        lease_duration = None  # as good as none

        @contextmanager
        def contextManager(self) -> Iterator[None]:
            entered.append("in")
            yield
            entered.append("out")

    view = SourceView(Source())
    assert view.lease_seconds == DEFAULT_LEASE_SECONDS
    with view.context():
        assert entered == ["in"]
    assert entered == ["in", "out"]


class Finder:
    """A source without `load`: it has `get`, by convention."""

    def __init__(self, jobs: dict[int, Any]) -> None:
        self._jobs = jobs

    def get(self, number: int) -> Any:
        """Return a job, None, or raise."""
        job = self._jobs.get(number)
        if isinstance(job, Exception):
            raise job
        return job


class Empty:
    """A job that counts as false, as one with a length may."""

    def __len__(self) -> int:
        return 0


def test_a_source_without_load_is_asked_job_by_job(instance: Instance) -> None:
    empty = Empty()
    source = SourceView(Finder({1: empty, 2: ZeroDivisionError("unreadable")}))
    with instance.database.session() as session:
        found, broken, missing = load_all(source, session, [Claim(n, 1) for n in (1, 2, 3)])
    assert found.job.job is empty
    with pytest.raises(ZeroDivisionError, match="unreadable"):
        broken.job.run()
    with pytest.raises(LookupError, match="its row in Finder is missing"):
        missing.job.run()


def test_a_view_knows_the_rows_that_the_job_holds(instance: Instance) -> None:
    number = instance.act()
    with instance.session() as session:
        session.get_one(Job, number).start()
    with instance.database.session() as session:
        view = load_claimed(SourceView(ActJob), session, Claim(number, 1)).job
        assert view.row is not None
        assert view.row.id == number
        job: Any = view.job
        assert view.rows() == [job.context, view.row]
