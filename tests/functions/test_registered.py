"""Functions that rows may name: those that are registered, no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

import functionapp as typed_app
from instances import Instance
from jobcron import InvalidJobData, JobStatus, UnknownFunction, functions
from jobcron.functions import FunctionJob, job, register

app: Any = typed_app
"""`delay` takes its own keywords as well, which type checkers know of by `options` alone."""


schedule_job: Any = functions.schedule_job
"""It is given what checkers refuse as well."""


def test_a_row_whose_function_nobody_knows_waits_alone_and_imports_nothing(calling: Instance) -> None:
    """One stale row stopped every later run of django-future."""
    with calling.session() as session:
        app.export.delay("a", session=session)
        app.export.delay("b", session=session)
        stale_job = FunctionJob.get(1, session=session)
        stale_job.metadata["function"] = "os.abort"
    _, log = calling.command("run", "functions")
    stale, good = calling.rows()
    assert (stale.status, good.status) == (JobStatus.WAITING, JobStatus.COMPLETED)
    assert "this code lacks the function os.abort" in log


def test_a_name_that_is_not_registered_is_refused_when_it_is_scheduled(session: Session) -> None:
    for function in ("functionapp.not_registered", app.not_registered):
        with pytest.raises(
            UnknownFunction, match=r"functionapp\.not_registered, found none: it has to be decorated"
        ):
            schedule_job("5d", function, session=session)


def something(number: int = 1) -> None:
    """Do something."""


class Shop:
    """Has a method."""

    def sell(self) -> None:
        """Sell."""


async def later() -> None:
    """Do it later."""


def one_by_one() -> Iterator[int]:
    """Do it when somebody asks for it."""
    yield 1


@pytest.mark.parametrize("decorate", [job, register])
def test_what_a_job_could_not_call_is_refused(decorate: Callable[[Any], Any]) -> None:
    for wrong, said in (
        (later, "which is async or a generator"),
        (one_by_one, "which is async or a generator"),
        (Shop.sell, f"expected a function, got the method {__name__}.Shop.sell"),
        (partial(something, 1), "expected a function, got partial"),
        (5, "expected a function, got int: 5"),
    ):
        with pytest.raises(InvalidJobData) as caught:
            decorate(wrong)
        assert said in str(caught.value)


def test_a_function_of_the_main_script_is_refused_since_no_runner_finds_it(session: Session) -> None:
    main: Any = lambda: None  # noqa: E731
    main.__module__, main.__qualname__ = "__main__", "main"
    for make in (lambda: job(main).delay(session=session), lambda: schedule_job("0s", main, session=session)):
        with pytest.raises(InvalidJobData, match=r"a runner can find, got __main__\.main: move it into a module"):
            make()
