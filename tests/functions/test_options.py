"""What `@job` and `register` accept, and what a row's call becomes: errors are met where they are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

import functionapp as typed_app
from jobcron import InvalidJobData
from jobcron.functions import FunctionJob, job, job_as_parameter, related_action, schedule_job
from jobcron.functions._options import Options

app: Any = typed_app


loose: Any = job


def something(number: int = 1) -> None:
    """Do something."""


@pytest.mark.feature("OCQ-02", "OCQ-04")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"retry_patern": {}},
            "expected options that @job has, priority, max_retries, retry_pattern, description",
        ),
        ({"retry_pattern": [10]}, "expected retry_pattern of something to be a dict, got list"),
        ({"retry_pattern": {0: 10}}, "the keys of retry_pattern of something to be numbers of runs, from 1 on"),
        ({"retry_pattern": {"1": 10}}, "numbers of runs, from 1 on, got str: '1'"),
        ({"retry_pattern": {1: -1}}, "expected retry_pattern[1] of something to be seconds or a timedelta"),
        ({"retry_pattern": {1: "10"}}, "got str: '10'"),
        ({"retry_pattern": {1: (60, 5)}}, "the shortest and the longest wait, got tuple: (60, 5)"),
        ({"retry_pattern": {1: float("nan")}}, "got float: nan"),
        ({"max_retries": -1}, "expected max_retries to be a whole number, 0 or greater, got int: -1"),
        ({"max_retries": None}, "expected max_retries to be a whole number"),
        ({"priority": "high"}, "expected priority of something to be a whole number"),
        ({"priority": None}, "expected priority of something to be a whole number, got None"),
        ({"description": 5}, "expected description of something to be text"),
        ({"database_only": 1}, "expected database_only of something to be True or False, got 1"),
        ({"name": "two words"}, "can be found by its name, got 'two words'"),
    ],
)
def test_an_option_that_is_unknown_or_wrong_is_refused_where_it_stands(options: Any, said: str) -> None:
    with pytest.raises(InvalidJobData) as caught:
        loose(**options)(something)
    assert said in str(caught.value)


@pytest.mark.feature("OCQ-04")
def test_a_pair_in_a_retry_pattern_is_a_delay_at_random_between_both() -> None:
    options = Options(retry_pattern={1: 10, 3: (100, 200)})
    assert [options.wait(runs) for runs in (0, 1, 2)] == [None, timedelta(seconds=10), timedelta(seconds=10)]
    waits = {options.wait(3) for _ in range(20)}
    assert len(waits) > 1
    assert all(timedelta(seconds=100) <= wait <= timedelta(seconds=200) for wait in waits if wait)


@pytest.mark.feature("OCQ-06")
def test_decorators_may_stand_in_any_order(session: Session) -> None:
    def made(name: str) -> Callable[[Any], Any]:
        return loose(name=name)  # type: ignore[no-any-return]

    about = related_action(lambda session, running: running.args)
    first: Any = made("above")(about(lambda number: None))
    second: Any = about(made("below")(lambda number: None))
    third: Any = made("job-above")(job_as_parameter(lambda running, number: None))
    fourth: Any = job_as_parameter(made("job-below")(lambda running, number: None))
    for function in (first, second, third, fourth):
        function.delay(7, session=session)
    related = [FunctionJob.get(number, session=session).related_action() for number in (1, 2)]
    assert related == [(7,), (7,)]


@pytest.mark.feature("OCQ-09")
def test_identity_keys_are_each_functions_own_and_may_be_long(session: Session) -> None:
    uuids = {
        function.delay(*arguments, identity_key=key, session=session)
        for function, arguments in ((app.export, ("a",)), (app.log_in, ("a", "b")))
        for key in ("7", "7", "é" * 5000, "é" * 5000, "é" * 5001)
    }
    assert len(uuids) == 6
    keys = {FunctionJob.get(uuid, session=session).job.unique_key for uuid in uuids}
    assert {"functionapp.export:7", "functionapp.log_in:7"} < keys
    assert max(len(key.encode()) for key in keys if key) <= 2000


@pytest.mark.feature("DJF-01", "OCQ-02")
def test_schedule_job_keeps_to_what_job_declared_and_runs_other_functions_once(session: Session) -> None:
    declared = schedule_job("0s", "functionapp.second_time", session=session)
    assert (declared.job.priority, declared.job.max_retries) == (4, 1)
    registered = schedule_job("0s", app.again, session=session)
    assert (registered.job.priority, registered.job.max_retries, registered.max_retries) == (10, 0, 1)
    registered.max_retries = 0
    assert registered.job.max_retries is None


@pytest.mark.feature("OCQ-01")
def test_a_job_is_found_by_the_uuid_that_delay_returns(session: Session) -> None:
    uuid = app.export.delay(session, "a")
    found = FunctionJob.get(uuid, session=session)
    assert FunctionJob.get(found.uuid, session=session) == FunctionJob.get(found.id, session=session) == found
    for wrong in ("no uuid", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(LookupError, match="uuid"):
            FunctionJob.get(wrong, session=session)
