"""What `@job` and `register` accept, and what a row's call becomes: errors are met where they are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

import functionapp as typed_app
from instances import FUNCTIONS, Instance
from jobcron import InvalidJobData, JobStatus
from jobcron.functions import FunctionJob, job, job_as_parameter, register, related_action, schedule_job
from jobcron.functions._options import Options

app: Any = typed_app
loose: Any = job


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
        ({"retry_pattern": {1: -1}}, "expected retry_pattern[1] of something to be seconds, or a pair"),
        ({"retry_pattern": {1: "10"}}, "got str: '10'"),
        ({"retry_pattern": {1: (60, 5)}}, "the least and the most of them, got tuple: (60, 5)"),
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


def test_a_function_of_the_main_script_is_refused_since_no_runner_finds_it(session: Session) -> None:
    main: Any = lambda: None  # noqa: E731
    main.__module__, main.__qualname__ = "__main__", "main"
    for make in (lambda: job(main).delay(session=session), lambda: schedule_job("0s", main, session=session)):
        with pytest.raises(InvalidJobData, match=r"a runner can find, got __main__\.main: move it into a module"):
            make()


@pytest.mark.feature("OCQ-04")
def test_what_a_job_that_is_done_met_before_is_no_error_of_its_any_more(calling: Instance) -> None:
    with calling.session() as session:
        app.second_time.delay(session=session)
    calling.run("functions")
    calling.run("functions")
    with calling.session() as session:
        done = FunctionJob.get(1, session=session)
        assert (done.retry, done.result, done.exc_info) == (2, "well", None)
        assert "not yet" in str(done.log)


def test_broken_rows_and_work_that_was_not_done_fail_with_a_clear_message(calling: Instance) -> None:
    with calling.session() as session:
        app.sneaky.delay(session=session)
        for data in ({"arguments": "ab"}, {"keywords": [1]}, {"function": ["os.abort"]}, {"function": None}):
            uuid = app.log_in.delay("a", "b", session=session)
            broken = FunctionJob.get(uuid, session=session)
            broken.metadata.update(data)
    calling.command("run", "functions")
    rows = sorted(calling.rows(), key=lambda row: row.id)
    assert {row.status for row in rows} == {JobStatus.FAILED}
    assert calling.ledger() == []
    for row, said in zip(
        rows,
        (
            "IncompleteJobType: expected functionapp.sneaky to do its work when it is called, got coroutine",
            "expected arguments of job 2 to be a list, got str: 'ab'",
            "expected keywords of job 3 to be an object, got list: [1]",
            "expected a registered function ['os.abort'], found none",
            "expected a registered function None, found none",
        ),
        strict=True,
    ):
        assert said in str(row.log)


def test_a_secret_that_was_given_by_position_is_in_no_report(calling: Instance) -> None:
    with calling.session() as session:
        app.log_in.delay("ada", "swordfish-7", "more", session=session)
        uuid = app.log_in.delay("ada", "swordfish-7", session=session)
        stale = FunctionJob.get(uuid, session=session)
        stale.metadata["function"] = "functionapp.renamed"
    calling.command("run", "functions")
    reports = [json.loads(path.read_text()) for path in calling.oopses()]
    assert "swordfish" not in json.dumps(reports)
    shown = [report["req_vars"]["arguments"] for report in reports]
    assert {"user": "ada", "password": "***", "more": ["more"]} in shown
    assert any("cannot be shown by name" in str(arguments) for arguments in shown)


@pytest.mark.feature("LP-11")
def test_a_report_says_whether_all_that_an_attempt_did_is_undone(calling: Instance) -> None:
    with calling.session() as session:
        quiet, loud = app.fail_or_die.delay(session=session), app.log_in.delay("a", "b", session=session)
    calling.command("run", "functions")
    effects = {}
    for path in calling.oopses():
        variables = json.loads(path.read_text())["req_vars"]
        effects[variables["job_uuid"]] = variables["effects"]
    assert effects[quiet].startswith("all undone: the job works in its database only")
    assert effects[loud] == (
        f"undone in its database; what it did elsewhere may have happened: its idempotency key is {loud}"
    )
    oops_id = calling.rows()[0].oops_id
    assert "effects" in calling.command("oops", str(oops_id))[0]


def test_the_history_of_a_job_whose_process_died_says_what_may_be_left_of_it(calling: Instance) -> None:
    with calling.session() as session:
        app.fail_or_die.delay(death=True, session=session)
    calling.command("run", "functions", expect=-9)
    calling.end_lease(1)
    calling.command("run", "functions", expect=-9)
    ((detail,),) = calling.query("SELECT detail FROM jobcron_event WHERE kind = 'taken over'")
    assert detail.startswith("the lease was past; all undone: the job works in its database only")


@pytest.mark.feature("DJF-01")
def test_a_section_names_functions_that_no_code_registers(calling: Instance) -> None:
    with calling.session() as session:
        uuid = app.undocumented.delay(session=session)
        renamed = FunctionJob.get(uuid, session=session)
        renamed.metadata["function"] = "functionapp.not_registered"
    path = calling.path / "jobcron.conf"
    text = path.read_text().replace(FUNCTIONS, "[functions]\nfunctions: functionapp.not_registered\n")
    path.write_text(text)
    calling.command("run", "functions")
    assert [row.status for row in calling.rows()] == [JobStatus.COMPLETED]
    for wrong, said in (
        ("functionapp.missing", "expected missing in functionapp to be a callable, found no such name"),
        ("functionapp.work_later", "which is async or a generator"),
        ("no_such_module.x", "expected the module no_such_module to be importable"),
        ("functionless", "(module.name or module:name) of a callable, got: functionless"),
        (
            "a.b\ntasks: a.b",
            "expected jobcron.functions.FunctionJob as source_interface, or none, got: tasks beside",
        ),
        ("a.b\nsource_interface: a.b", "or none, got: source_interface beside it"),
    ):
        path.write_text(text.replace("functionapp.not_registered", wrong))
        out, _ = calling.command("check-config", expect=2)
        assert "section [functions], key functions: " in out
        assert said in out
