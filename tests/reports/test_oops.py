"""OOPS reports: what is in them, where they are, what is never in them (LP-25, LP-11)."""

from __future__ import annotations

import json
import re
import socket
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from failing_jobs import CANARY, details, fail, report_of
from failingapp import ODD_VARIABLES
from fooapp import DoFooJob
from instances import Instance
from jobcron import JobStatus, globalErrorUtility
from jobcron.queue.loading import effects_of
from jobcron.reports.oops import ErrorUtility
from jobcron.settings.instance import load_settings


@pytest.mark.feature("LP-25", "LP-19")
def test_a_report_says_what_happened_where_and_with_what(instance: Instance) -> None:
    before = datetime.now(UTC)
    job = instance.act(("write", "parameter-canary"), ("sleep", 0.05), ("chain", ""))
    instance.run("act")
    row = instance.row(job)
    (path,) = instance.oopses()
    report = json.loads(path.read_text())
    assert (report["type"], report["value"]) == ("ValueError", "the consequence")
    lines = report["tb_text"]
    assert lines[0].startswith("Traceback (most recent call last)")
    assert lines[-1] == "ValueError: the consequence"
    assert "KeyError: 'the cause'" in lines
    assert "The above exception was the direct cause of the following exception:" in lines
    assert any("act_chain" in line for line in lines)
    assert report["req_vars"] == {
        "job_id": job,
        "job_type": "foo_job.ACT",
        "job_uuid": str(row.uuid),
        "attempt_count": 1,
        "job_class": "ActJob",
        "arguments": {"foo_id": 1},
        "effects": effects_of(False, row.uuid),
    }
    assert report["hostname"] == socket.gethostname()
    assert report["reporter"] == "T-act"
    assert 0.05 <= report["duration"] < 30
    assert before <= datetime.fromisoformat(report["time"]) <= datetime.now(UTC)
    assert report["id"] == path.name == row.oops_id == f"OOPS-T{job}-1-{str(row.uuid)[:8]}"


@pytest.mark.feature("LP-25")
def test_the_timeline_has_the_statements_and_not_their_parameters(instance: Instance) -> None:
    instance.act(("write", "parameter-canary"), ("sql", "SELECT 42 AS before_the_end"), ("raise", "value"))
    instance.run("act")
    timeline = report_of(instance)["timeline"]
    statements = [detail for _, _, _, detail in timeline]
    assert any(s.startswith("INSERT INTO ledger") for s in statements)
    assert statements[-1] == "SELECT 42 AS before_the_end"
    times = [(start, stop) for start, stop, _, _ in timeline]
    assert times == sorted(times)
    assert all(0 <= start <= stop for start, stop in times)
    assert {category for _, _, category, _ in timeline} == {"SQL"}
    assert "parameter-canary" not in json.dumps(report_of(instance))


@pytest.mark.feature("LP-25")
def test_the_timeline_is_that_of_the_job_that_failed(instance: Instance) -> None:
    instance.act(("sql", "SELECT 1 AS the_neighbours"))
    instance.act(("sql", "SELECT 2 AS its_own"), ("raise", "value"))
    instance.run("act")
    text = json.dumps(report_of(instance)["timeline"])
    assert "its_own" in text
    assert "the_neighbours" not in text


@pytest.mark.feature("LP-11")
def test_a_report_has_what_the_family_tells(instance: Instance) -> None:
    with instance.session() as session:
        foo = instance.foo(session)
        job = DoFooJob.create(foo, session=session)
        numbers = (foo.id, job.context.id)
        assert set(job.getOopsVars()) >= {("foo_id", numbers[0]), ("foo_job_type", "Do foo")}
    instance.query("ALTER TABLE ledger RENAME TO elsewhere")
    instance.run("do_foo")
    variables = report_of(instance)["req_vars"]
    assert (variables["foo_id"], variables["foo_job_id"]) == numbers
    assert variables["foo_job_type"] == "Do foo"
    assert variables["job_type"] == "foo_job.DO_FOO"


@pytest.mark.feature("LP-25")
def test_equal_failures_have_a_report_each(instance: Instance) -> None:
    jobs = [instance.act(("raise", "value")) for _ in range(3)]
    instance.run("act")
    assert {p.name for p in instance.oopses()} == {instance.row(job).oops_id for job in jobs}
    assert len(instance.oopses()) == 3


@pytest.mark.feature("LP-25")
def test_causes_and_contexts_are_all_in_the_traceback(instance: Instance) -> None:
    fail(instance, "chain")
    instance.run("fail")
    text = "\n".join(report_of(instance)["tb_text"])
    for part in ("KeyError: 'the root'", "LookupError: the cause", "KeyError: 'unknown'"):
        assert part in text
    assert "direct cause" in text
    assert "During handling of the above exception" in text


@pytest.mark.feature("LP-25")
def test_the_members_of_a_group_are_all_in_the_traceback(instance: Instance) -> None:
    job = fail(instance, "group")
    instance.run("fail")
    report = report_of(instance)
    assert report["type"] == "ExceptionGroup"
    assert report["value"].startswith("two at once")
    text = "\n".join(report["tb_text"])
    for part in ("ValueError: the first", "Nasty", "KeyError: 'the third'"):
        assert part in text
    assert instance.row(job).status is JobStatus.FAILED


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize(("kind", "type_name"), [("nasty", "Nasty"), ("loop", "ValueError")])
def test_an_error_that_is_hard_to_print_is_reported_all_the_same(
    instance: Instance, kind: str, type_name: str
) -> None:
    job = fail(instance, kind)
    instance.run("fail")
    report = report_of(instance)
    assert report["type"] == type_name
    assert any("in run" in line for line in report["tb_text"])
    row = instance.row(job)
    assert (row.status, row.oops_id) == (JobStatus.FAILED, report["id"])


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
@pytest.mark.parametrize("text", ["a<surrogate>b", "a<nul>b", "a\x1b[31m\x07\rb", "a\u2028b\U0001f600"], ids=ascii)
def test_odd_characters_in_a_message_change_nothing_about_the_outcome(
    instance: Instance, text: str, kind: str
) -> None:
    job = fail(instance, kind, message=text)
    neighbour = fail(instance, "value", message="neighbour")
    log = instance.run("fail")
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert instance.row(neighbour).status is JobStatus.FAILED
    assert row.log is not None
    assert instance.events(job) == ["failed" if kind == "value" else "user error"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", log)
    if kind == "value":
        (path,) = (p for p in instance.oopses() if p.name == row.oops_id)
        value = json.loads(path.read_text(encoding="utf-8"))["value"]
        assert value.startswith("a")
        assert value.endswith(("b", "\U0001f600"))


@pytest.mark.feature("LP-25")
@pytest.mark.parametrize("kind", ["value", "user"])
def test_a_huge_message_is_bounded_everywhere(instance: Instance, kind: str) -> None:
    job = fail(instance, kind, message="0123456789", times=500_000)
    log = instance.run("fail")
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert len(row.log or "") < 50_000
    assert len(log) < 500_000
    assert len(details(instance, job)) < 500_000
    for path in instance.oopses():
        assert path.stat().st_size < 1_000_000
    for path in (instance.path / "mail").iterdir():
        assert path.stat().st_size < 1_000_000


@pytest.mark.feature("LP-25", "LP-11")
@pytest.mark.parametrize("odd", ODD_VARIABLES)
def test_variables_that_cannot_be_shown_do_not_cost_the_report(instance: Instance, odd: str) -> None:
    job = fail(instance, "value", message="it failed", odd=odd)
    neighbour = fail(instance, "value")
    instance.run("fail")
    row = instance.row(job)
    assert row.status is JobStatus.FAILED
    assert instance.row(neighbour).status is JobStatus.FAILED
    (path,) = (p for p in instance.oopses() if p.name == row.oops_id)
    text = path.read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))["value"] == "it failed"
    assert len(text) < 1_000_000


@pytest.mark.feature("LP-26")
def test_a_message_of_the_surroundings_is_in_the_report(instance: Instance) -> None:
    instance.act(("raise", "value"))
    with globalErrorUtility.oopsMessage({"batch": "nightly", "password": CANARY}):
        instance.run("act")
    variables = report_of(instance)["req_vars"]
    assert (variables["batch"], variables["password"]) == ("nightly", "***")


@pytest.mark.feature("LP-26")
def test_a_hook_that_fails_costs_no_report_and_ends_no_run(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure = ErrorUtility.configure

    def with_hook(utility: ErrorUtility, *arguments: Any) -> None:
        def fail(report: dict[str, Any], context: dict[str, Any]) -> None:
            raise RuntimeError("the application's hook")

        configure(utility, *arguments)
        utility.config.on_create.append(fail)

    monkeypatch.setattr(ErrorUtility, "configure", with_hook)
    job, after = instance.act(("raise", "value")), instance.act(("write", "effect"))
    instance.run("act")
    report = report_of(instance)
    assert instance.row(job).oops_id == report["id"]
    assert report["reporter"] == "T-act"
    assert report["req_vars"]["on_create"] == "failed: RuntimeError: the application's hook"
    assert [instance.row(number).status for number in (job, after)] == [JobStatus.FAILED, JobStatus.COMPLETED]


@pytest.mark.feature("LP-26")
def test_an_error_outside_any_job_is_given_or_the_one_being_handled(instance: Instance) -> None:
    utility = ErrorUtility()
    utility.configure(settings=load_settings(str(instance.path)))
    try:
        raise KeyError("lost")
    except KeyError as error:
        reports = [utility.raising(error, {"place": "here"}), utility.raising(sys.exc_info()), utility.raising()]
    assert [report and report["type"] for report in reports] == ["KeyError"] * 3
    assert reports[0] is not None
    assert reports[0]["req_vars"] == {"place": "here"}
    with pytest.raises(ValueError, match=r"expected an exception to report, got none"):
        utility.raising()
    assert len(instance.oopses()) == 3
