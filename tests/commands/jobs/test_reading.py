"""The subcommands that show jobs, sections, runs and types."""

from __future__ import annotations

import os
import pty
import re
import sys
from typing import Any

import pytest
from sqlalchemy import select

from instances import Instance
from jobcron import JobStatus
from jobcron.database.clock import database_after, database_now
from jobcron.database.tables import JobTypeRow
from jobcron.runner.grouped.runs import GroupRunRow
from jobcron.testing import JobFactory
from operating import Operator

HOSTILE = "\x1b[2J\x1b]0;you\x07\n2026-01-01 root COMPLETED\t\u202eflip"


def make(instance: Instance, *values: dict[str, Any]) -> list[int]:
    """Commit jobs and return their numbers."""
    with instance.session() as session:
        factory = JobFactory(session)
        jobs = [factory.makeJob(**value) for value in values]
        session.flush()
        return [job.id for job in jobs]


@pytest.fixture
def failed(operator: Operator) -> int:
    """Return the number of a job that has failed beside two that wait."""
    number = operator.instance.act(("raise", "value"), requester="ada", description="Frozzle")
    operator.instance.run("act")
    operator.instance.act()
    operator.instance.act()
    return number


def test_jobs_are_listed_by_filters_one_a_line(operator: Operator, failed: int) -> None:
    (row,) = operator.table("jobs", "--status", "failed", "--section", "act", "--requester", "ada")
    assert (row["id"], row["status"], row["type"], row["by"], row["description"], row["error"]) == (
        str(failed), "FAILED", "foo_job.ACT", "ada", "Frozzle", "ValueError: no such foo",
    )  # fmt: skip
    assert len(operator.table("jobs", "--status", "pending")) == 2
    assert operator.table("jobs", "--status", "FAILED") == [row]
    assert operator.table("jobs", "--status", "failed", "--queue", "cats") == []
    assert operator("jobs", "--count", "--older-than", "0s") == "3\n"


def test_the_next_page_begins_where_this_one_says(operator: Operator, failed: int) -> None:
    out = operator("jobs", "--limit", "2")
    assert out.endswith("# more: --before 2\n")
    assert [row["id"] for row in operator.table("jobs", "--before", 2)] == [str(failed)]


def test_jobs_as_json_have_a_stable_shape(operator: Operator, failed: int) -> None:
    page = operator.json("jobs", "--status", "failed")
    assert (list(page), page["next"], page["is_full"]) == (["jobs", "next", "is_full", "is_cut"], None, False)
    (job,) = page["jobs"]
    assert list(job) == [
        "id", "uuid", "type", "status", "queue", "channel", "priority", "scheduled_start", "date_created",
        "date_started", "date_finished", "attempt_count", "requester", "description", "unique_key", "progress",
        "claimed_by", "lease_expires", "oops_id", "error",
    ]  # fmt: skip
    assert job["date_created"].endswith("+00:00")
    assert operator.json("jobs", "--count") == {"count": {"number": 3, "is_exact": True}}


def test_a_job_is_shown_with_everything(operator: Operator, failed: int) -> None:
    out = operator("job", failed)
    assert "status       FAILED\n" in out
    assert "requester    ada\n" in out
    assert "target       fooapp.Foo 1\n" in out
    assert '  do         [["raise", "value"]]\n' in out
    assert "History\n" in out
    assert "Error\nTraceback (most recent call last):\n" in out
    job = operator.json("job", failed)
    assert job["history"][0]["kind"] == "failed"
    assert operator.json("job", job["uuid"]) == job


def test_what_a_job_says_cannot_harm_a_terminal_nor_fake_a_line(operator: Operator) -> None:
    values = {"description": HOSTILE, "requester": HOSTILE, "queue_name": "q", "log": HOSTILE}
    (number,) = make(operator.instance, {"status": JobStatus.FAILED, "json_data": {"x": HOSTILE}, **values})
    for out in (operator("jobs"), operator("job", number)):
        assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert len(operator.table("jobs")) == 1
    assert operator.json("job", number)["description"] == HOSTILE
    assert "\x1b" not in operator("job", number, "--json")


def test_secrets_are_hidden(operator: Operator) -> None:
    data = {"password": "hunter2", "url": "postgresql://me:s3cr3t-c4nary@host/db"}
    (number,) = make(operator.instance, {"json_data": data, "description": "password=hunter2"})
    for arguments in (("jobs",), ("job", number), ("job", number, "--json")):
        out = operator(*arguments)
        assert "hunter2" not in out
        assert "c4nary" not in out


def test_on_a_terminal_a_table_has_columns_and_no_line_is_too_long(
    operator: Operator, failed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(operator.instance, {"description": "d" * 500, "log": "e" * 500})
    monkeypatch.setitem(sys.modules, "rich.console", None)
    reading, writing = pty.openpty()
    with os.fdopen(writing, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        operator("jobs")
    lines = os.read(reading, 100_000).decode().splitlines()
    os.close(reading)
    assert {len(line) <= 80 for line in lines} == {True}
    assert "\t" not in "".join(lines)
    assert lines[0].startswith("id  status   type ")


@pytest.mark.parametrize("is_coloured", [True, False])
def test_with_rich_a_table_has_colours_unless_they_are_not_wanted(
    operator: Operator, failed: int, monkeypatch: pytest.MonkeyPatch, is_coloured: bool
) -> None:
    make(operator.instance, {"description": "[red]markup[/red] " + "d" * 500, "log": "e" * 500})
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not is_coloured:
        monkeypatch.setenv("NO_COLOR", "1")
    reading, writing = pty.openpty()
    with os.fdopen(writing, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        operator("jobs")
    out = os.read(reading, 100_000).decode()
    os.close(reading)
    assert ("\x1b[31m" in out) == is_coloured
    plain = re.sub(r"\x1b\[[\d;]*m", "", out)
    assert all(len(line) <= 80 for line in plain.splitlines())
    assert "\t" not in plain
    assert len(plain.splitlines()) == 5
    assert operator("jobs").startswith("id\tstatus\t")  # in a pipe


def test_sections_runs_and_types_are_shown(operator: Operator, failed: int) -> None:
    sections = {row["section"]: row for row in operator.table("sections")}
    assert (sections["act"]["ready"], sections["act"]["failed in 1 h"]) == ("2", "1")
    (run,) = operator.table("runs")
    assert (run["section"], run["completed"], run["not completed"], run["reports"]) == ("act", "0", "1", "1")
    assert operator.table("runs", "do_foo") == []
    types = {row["type"]: row for row in operator.table("types")}
    assert (types["foo_job.ACT"]["not ended"], types["foo_job.ACT"]["sections"]) == ("2", "act")
    assert operator.json("sections")["sections"][1]["running"] == {"number": 0, "is_exact": True}
    assert operator.json("runs")["runs"][0]["name"] == "act"
    assert "foo_job.ACT" in [found["name"] for found in operator.json("types")["types"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["job", "0"], "expected the number or the UUID of a job, got: '0'"),
        (["runs", "--before", "x"], "expected the number of a run, got: 'x'"),
        (["runs", "actt"], "expected a section, or a script that has run, got: actt; did you mean act?"),
        (["jobs", "--type", "foo_job.ACTT"], "foo_job.ACTT; it knows: "),
        (["cancel", "--type", "foo_job.ACTT", "--yes"], "did you mean foo_job.ACT?"),
        (["job", "99"], "expected a job with the number 99, found none"),
        (["job", "00000000-0000-0000-0000-000000000000"], "found none"),
        (["jobs", "--status", "done"], "invalid choice: 'done'"),
        (["jobs", "--older-than", "soon"], "expected a duration such as 30s, 10m or 2d, got: 'soon'"),
        (["jobs", "--older-than", "-1h"], "expected one argument"),
        (["jobs", "--older-than", "99999999d"], "expected a duration"),
        (["jobs", "--limit", "0"], "expected a number from 1 to 10,000,000, got: '0'"),
        (["jobs", "--argument", "x"], "expected NAME=VALUE, got: 'x'"),
        (["jobs", "--target", "x"], "expected CLASS:KEY such as shop.model.Order:1, got: 'x'"),
        (["jobs", "--section", "nonsense"], "expected a section [nonsense], found none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_mistake_is_a_message_and_status_2(operator: Operator, arguments: list[str], message: str) -> None:
    operator(*arguments, expect=2)
    assert message in operator.err


def test_jobs_are_seen_and_moved_while_the_application_cannot_be_imported(instance: Instance) -> None:
    job = instance.act()
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "a_broken_release"))
    for command in (("jobs",), ("job", str(job)), ("suspend", str(job)), ("resume", str(job))):
        out, err = instance.command(*command)
        assert "warning: going on without the application:" in err
        assert "a_broken_release" in err
        assert out
    out, _ = instance.command("why", str(job), expect=1)
    assert out.startswith(f"job {job} does not run:")
    instance.command("create", "fooapp.ActJob", expect=2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os; os.environ['NOT_SET']", "KeyError: 'NOT_SET'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    ],
)
def test_whatever_a_broken_release_raises_is_told_in_a_line(instance: Instance, mistake: str, said: str) -> None:
    job = instance.act()
    broken = instance.path / "release.py"
    broken.write_text(mistake + "\n")
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("fooapp:register", "release")
    path.write_text(text.replace("python_path: ", f"python_path: {instance.path} "))
    told = f"{said} (in {broken}, line 1)"
    for command in (("jobs",), ("suspend", str(job)), ("pause", "--section", "act"), ("sections",)):
        _, err = instance.command(*command)
        assert f"warning: going on without the application: {path}: section [jobcron], key application" in err
        assert told in err
    for command in (("plan", "act"), ("create", "release.Job"), ("upgrade",)):
        _, err = instance.command(*command, expect=2)
        assert told in err
        assert "Traceback" not in err
    out, _ = instance.command("doctor", expect=3)
    assert told in out


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("retry_delay = 'soon'", "expected retry_delay of release.Job to be "),
        ("time_limit = -1", "expected time_limit of release.Job to be "),
        ("memory_limit = '1G'", "expected memory_limit of release.Job to be bytes, or None, got '1G'"),
    ],
)
def test_a_class_with_a_value_that_makes_no_sense_is_told_with_its_line(
    instance: Instance, line: str, said: str
) -> None:
    broken = instance.path / "release.py"
    broken.write_text(
        "from jobcron import BaseRunnableJob, JobType\nclass Type(JobType):\n    A = 1\n"
        f"class Job(BaseRunnableJob):\n    class_job_type = Type.A\n    run = print\n    {line}\n"
    )
    path = instance.path / "jobcron.conf"
    text = path.read_text().replace("fooapp:register", "release")
    path.write_text(text.replace("python_path: ", f"python_path: {instance.path} "))
    for command in (("check-config",), ("upgrade",)):
        out, err = instance.command(*command, expect=2)
        assert said in out + err
        assert f"(in {broken}, line 4)" in out + err
        assert "Traceback" not in err


def test_values_of_arguments_are_json_or_text(operator: Operator) -> None:
    first, second = make(operator.instance, {"json_data": {"n": 3}}, {"json_data": {"n": "three"}})
    assert [row["id"] for row in operator.table("jobs", "--argument", "n=3")] == [str(first)]
    assert [row["id"] for row in operator.table("jobs", "--argument", "n=three")] == [str(second)]
    assert operator.table("jobs", "--argument", 'n="3"') == []


def test_a_wrong_option_is_told_without_a_page_of_usage(operator: Operator) -> None:
    operator("jobs", "--stauts", "failed", expect=2)
    usage, error = operator.err.splitlines()
    assert usage == "usage: jobcron jobs … (jobcron jobs --help has all options)"
    assert error == "jobcron jobs: error: unrecognized arguments: --stauts failed; did you mean --status?"
    operator("jobs", "--status", "fialed", expect=2)
    assert operator.err.endswith("'ended'); did you mean failed?\n")
    operator("jobs", "--limit", "none", expect=2)
    usage, error = operator.err.splitlines()
    assert usage == "usage: jobcron jobs … (jobcron jobs --help has all options)"
    assert error.startswith("jobcron jobs: error: argument --limit: ")
    assert operator("jobs", "--ended-within", "1h", "--count") == "0\n"
    assert operator("jobs", "--created-on", "2020-02-29", "--count") == "0\n"
    operator("jobs", "--created-on", "2021-02-29", expect=2)
    assert "expected a day such as 2026-11-30, got: '2021-02-29'" in operator.err


@pytest.mark.parametrize(
    ("is_of_type", "seconds", "is_told"), [(True, 30, True), (True, -1, False), (False, 30, False)]
)
def test_a_list_says_which_of_its_jobs_may_be_running_in_a_group(
    operator: Operator, is_of_type: bool, seconds: int, is_told: bool
) -> None:
    operator.instance.act()
    with operator.instance.session() as session:
        JobFactory(session).makeJob(type_name="other.TYPE")
        name = "foo_job.ACT" if is_of_type else "other.TYPE"
        number = session.scalar(select(JobTypeRow.id).where(JobTypeRow.name == name))
        now, end = database_now(), database_after(seconds)
        session.add(GroupRunRow(id="x", type_id=number, claimed_by="there:7/ab", started=now, lease_expires=end))
    last = operator("jobs", "--type", "foo_job.ACT").splitlines()[-1]
    told = "# foo_job.ACT: there:7/ab runs jobs of it in groups: those of its group are RUNNING, "
    assert last.startswith(told) is is_told, last
    assert "# " not in operator("jobs", "--status", "running")
