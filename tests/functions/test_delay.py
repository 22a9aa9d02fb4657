"""`delay` and `register`: a function is called by a job, with options and keys of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import functionapp as typed_app
from fooapp import Foo
from function_jobs import found, notes
from instances import Instance
from jobcron import InvalidJobData, Job, JobStatus, functions
from jobcron.functions import identity_exact, job, register

app: Any = typed_app
"""`delay` takes its own keywords as well, which type checkers know of by `options` alone."""


schedule_job: Any = functions.schedule_job
"""It is given what checkers refuse as well."""


@pytest.mark.feature("OCQ-01", "DJF-07")
def test_a_function_is_called_plainly_or_by_a_job(calling: Instance) -> None:
    with calling.session() as session:
        uuid = app.export.delay("partner", number=7, session=session)
    row = found(calling, uuid)
    assert (row.status, row.description, row.priority) == (JobStatus.WAITING, "Export one thing.", 10)
    assert row.max_retries == 4  # five runs
    _, err = calling.command("run", "functions")
    row = found(calling, uuid)
    assert (row.status, row.result) == (JobStatus.COMPLETED, "exported partner 7")
    assert notes(calling) == ["partner 7"]
    assert "Ran 1 FunctionJob jobs." in err
    assert app.export.__name__ == "export"


@pytest.mark.feature("OCQ-01")
def test_a_job_that_is_rolled_back_never_existed(session: Session) -> None:
    app.export.delay("partner", session=session)
    assert session.scalars(select(Job)).all() != []
    session.rollback()
    assert session.scalars(select(Job)).all() == []


@pytest.mark.feature("OCQ-02")
def test_options_of_a_job_are_the_callers_then_the_functions(session: Session) -> None:
    for eta, least, most in ((3600, 3590, 3610), (timedelta(days=1), 86390, 86410)):
        app.export.delay("a", eta=eta, priority=0, max_retries=0, description="mine", session=session)
        row = session.scalars(select(Job).order_by(Job.id.desc())).first()
        assert row is not None
        assert (row.priority, row.max_retries, row.description) == (0, None, "mine")
        assert least < (row.scheduled_start - row.date_created).total_seconds() < most
    moment = datetime(2031, 5, 17, 12)
    app.troubled.options(eta=moment, session=session).delay("x")
    row = session.scalars(select(Job).order_by(Job.id.desc())).first()
    assert row is not None
    assert row.scheduled_start == moment.replace(tzinfo=UTC)
    assert (row.priority, row.max_retries, row.description) == (3, 3, "Try")
    app.undocumented.delay(session=session)
    row = session.scalars(select(Job).order_by(Job.id.desc())).first()
    assert row is not None
    assert row.description == "Function undocumented"


@pytest.mark.feature("OCQ-09")
def test_an_identity_key_returns_the_job_that_has_not_started(calling: Instance) -> None:
    with calling.session() as session:
        export = app.export.options(identity_key=identity_exact, session=session)
        first, same, other = export.delay("a", 1), export.delay("a", 1), export.delay("a", 2)
        assert first == same != other
    calling.run("functions")
    with calling.session() as session:
        assert app.export.options(identity_key=identity_exact, session=session).delay("a", 1) != first


@pytest.mark.feature("OCQ-09")
def test_sixteen_callers_with_one_identity_key_make_one_job(calling: Instance) -> None:
    def call(number: int) -> str:
        with calling.session() as session:
            return str(app.export.delay("same", identity_key="the one", session=session))

    with ThreadPoolExecutor(16) as pool:
        uuids = set(pool.map(call, range(16)))
    assert len(uuids) == 1
    assert len(calling.rows()) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda s: app.export.delay("a", object(), session=s),
            "expected number of functionapp.export to be of a type that a job's row",
        ),
        (lambda s: app.export.delay("a\0", session=s), "expected model of functionapp.export to be text"),
        (lambda s: app.export.delay(session=s), "missing a required argument: 'model'"),
        (lambda s: app.export.delay("a", colour="red", session=s), "unexpected keyword argument 'colour'"),
        (lambda s: app.export.delay("a", eta="soon", session=s), "expected eta to be a datetime"),
        (lambda s: app.export.delay("a", max_retries=-1, session=s), "expected max_retries"),
        (lambda s: schedule_job("soon", app.again, session=s), "expected a time such as 5d, 3h"),
        (lambda s: schedule_job("5d", app.again, args=[1, 2], session=s), "too many positional arguments"),
        (lambda s: schedule_job("5d", lambda: None, session=s), "can be found by its name"),
        (lambda s: schedule_job("5d", app.again, content_object="text", session=s), "mapped object"),
        (lambda s: app.export.delay("a", priority="high", session=s), "expected priority of FunctionJob"),
        (lambda s: schedule_job("5d", None, session=s), "expected a function, got NoneType: None"),
        (lambda s: schedule_job("5d", partial(app.again), session=s), "expected a function, got partial"),
        (lambda s: schedule_job("5d", print, session=s), "expected a function of a module"),
        (lambda s: schedule_job("5d", app.again, args=None, session=s), "expected args of functionapp.again"),
        (lambda s: schedule_job("5d", app.again, args="ab", session=s), "got str: 'ab'"),
        (lambda s: schedule_job("5d", app.again, kwargs=[1], session=s), "expected kwargs of functionapp.again"),
        (lambda s: schedule_job("5d", app.again, kwargs={1: 2}, session=s), "to be a dict of names"),
        (lambda s: app.export.delay("a", identity_key=lambda job: "x", session=s), "there is no job yet"),
        (
            lambda s: app.export.delay("a", identity_key="", session=s),
            "expected identity_key of functionapp.export",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_delayed(session: Session, make: Any, said: str) -> None:
    with pytest.raises(InvalidJobData) as caught:
        make(session)
    assert said in str(caught.value)
    assert session.scalars(select(Job)).all() == []


def test_parameters_with_the_names_of_delays_own_are_refused() -> None:
    with pytest.raises(InvalidJobData, match="priority"):

        @job(name="clash")
        def clash(priority: int) -> None:
            """Clash."""

    with pytest.raises(InvalidJobData, match="expected one function with the name functionapp.export, got two"):
        register(app.not_registered, "functionapp.export")


def test_mapped_objects_are_arguments_by_reference(calling: Instance) -> None:
    with calling.session() as session:
        foo = calling.foo(session)
        schedule_job("0s", app.frozzle, args=[foo], session=session)
    assert isinstance(foo, Foo)
    calling.query("UPDATE foo SET frozzled = 5")
    calling.command("run", "functions")
    assert calling.query("SELECT frozzled FROM foo") == [(6,)]


@pytest.mark.feature("OCQ-09")
def test_a_function_that_is_delayed_again_and_again_starts_after_the_last_time(session: Session) -> None:
    once = app.export.options(identity_key="k", debounce=30, at_most=300)
    uuid = once.delay(session, "a")
    (row,) = session.scalars(select(Job))
    first = row.scheduled_start
    assert 25 < (first - row.date_created).total_seconds() <= 31
    row.scheduled_start -= timedelta(seconds=10)
    session.flush()
    assert once.delay(session, "a") == uuid
    session.refresh(row)
    assert first <= row.scheduled_start < first + timedelta(seconds=20)
    with pytest.raises(InvalidJobData, match=r"debounce of functionapp\.export with an identity_key, got none"):
        app.export.options(debounce=30)
    with pytest.raises(InvalidJobData, match="either debounce or a start, got both"):
        app.export.options(identity_key="l", debounce=30, eta=3600).delay(session, "a")
    with pytest.raises(InvalidJobData, match="expected no debounce of a planned job"):
        once.planned("a")
