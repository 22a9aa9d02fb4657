"""The commands for jobs of several tasks, by the names that django-db-queue has for them and by ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances import Instance
from jobcron.database import walk
from jobcron.steps.delete_old import delete_old
from query_cost import noted_statements
from steps_jobs import look, make

DEEP = '{"a": ' + "[" * 50_000 + "]" * 50_000 + "}"
"""More than Python's reader of JSON takes."""


@pytest.mark.feature("DBQ-06")
@pytest.mark.parametrize(("command", "option"), [("create_job", "--queue_name"), ("create-job", "--queue-name")])
def test_a_job_is_made_by_a_command(steps: Instance, command: str, option: str) -> None:
    out, _ = steps.command(command, "plain", option, "my_queue", "--workspace", '{"key": "value"}')
    (row,) = steps.rows()
    assert out == f'Created job: "plain", id={row.id} for queue "my_queue"\n'
    assert (row.queue_name, look(steps, "plain", row.id)["workspace"]) == ("my_queue", {"key": "value"})
    steps.command(command, "configured")
    row = steps.rows()[-1]
    assert row.queue_name == "cats"
    assert look(steps, "configured", row.id)["workspace"] == {"seen": ["creation"]}  # by its hook


@pytest.mark.feature("DBQ-06")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create_job", "plain", "--workspace", "{key: value}"], "expected JSON, got '{key: value}': "),
        (["create_job", "plain", "--workspace", "[1]"], "expected a JSON object such as"),
        (["create_job", "plain", "--workspace", DEEP], "expected JSON at most 32 levels deep, got "),
        (["create_job", "plain", "--queue-name", ""], "expected queue_name to be a letter, then letters, digits"),
        (["create_job", "plain", "--queue-name", "a\nb"], "digits, _ and -, 64 at most, got str: 'a\\nb'"),
        (["create_job", "plain", "--queue-name", "q" * 65], "64 at most, got str: 'qqq"),
        (
            ["create_job", "plain", "--workspace", '{"a": NaN}'],
            "the workspace of plain['a'] to be a finite number",
        ),
        (["create_job", "nothing"], "got: nothing; there are: configured, decorated, hooked, plain"),
        (["create_job"], "the following arguments are required: NAME"),
        (["delete_old_jobs", "--hours", "soon"], "expected a whole number of hours, 1 to 1000000, got: 'soon'"),
        (["delete_old_jobs", "--hours", "0"], "expected a whole number of hours, 1 to 1000000, got: '0'"),
        (["delete_old_jobs", "--hours", "-1"], "expected a whole number of hours, 1 to 1000000, got: '-1'"),
        (["delete_old_jobs", "--hours", "1.5"], "expected a whole number of hours, 1 to 1000000, got: '1.5'"),
        (["delete_old_jobs", "--hours", "9" * 5000], "expected a whole number of hours, 1 to 1000000, got: '999"),
        (["queue_depth", "--exclude_future_jobs=perhaps"], "ignored explicit argument 'perhaps'"),
        (["import_django_db_queue"], "the following arguments are required: SOURCE_URL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_a_message(steps: Instance, arguments: list[str], message: str) -> None:
    _, err = steps.command(*arguments, expect=2)
    assert message in err
    assert "Traceback" not in err
    assert steps.rows() == []


@pytest.mark.feature("DBQ-06", "DBQ-08")
def test_the_depth_of_queues_is_told_as_django_db_queue_tells_it(steps: Instance) -> None:
    make(steps, "plain")
    make(steps, "plain", run_after=datetime.now(UTC) + timedelta(hours=1))
    make(steps, "plain", queue_name="cats")
    done = make(steps, "hooked")
    steps.run("hooked")
    assert look(steps, "hooked", done)["state"] == "COMPLETE"
    assert steps.command("queue_depth")[0] == "event=queue_depths default=2\n"
    assert steps.command("queue-depth", "cats", "default", "none")[0] == (
        "event=queue_depths cats=1 default=2 none=0\n"
    )
    for option in ("--exclude_future_jobs=True", "--exclude_future_jobs", "--exclude-future-jobs"):
        assert steps.command("queue_depth", "default", option)[0] == "event=queue_depths default=1\n"
        assert (
            steps.command("queue_depth", option, "cats", "default")[0] == "event=queue_depths cats=1 default=1\n"
        )
        assert steps.command("queue_depth", option)[0] == "event=queue_depths default=1\n"


@pytest.mark.feature("DBQ-06")
def test_old_jobs_that_have_ended_are_deleted_and_no_others(steps: Instance) -> None:
    work = {"raise": {"first": [("raise", "no")]}}
    ended = [make(steps, "plain"), make(steps, "plain", work["raise"]), make(steps, "plain")]
    steps.run("plain")
    waiting = make(steps, "plain")
    other = steps.act()  # no job of several tasks
    steps.run("act")
    past = {
        "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-25 hours')",
        "postgresql": "now() - interval '25 hours'",
    }[steps.database.dialect]
    steps.query(f"UPDATE jobcron_job SET date_created = {past} WHERE id != :id", id=ended[2])
    assert steps.command("delete_old_jobs", "--hours", "26")[0] == "Deleted old jobs: 0\n"
    assert steps.command("delete_old_jobs")[0] == "Deleted old jobs: 2\n"
    assert [row.id for row in steps.rows()] == [ended[2], waiting, other]
    assert steps.query("SELECT count(*) FROM jobcron_event") == [(0,)]
    assert steps.command("delete-old-jobs", "--hours", "1")[0] == "Deleted old jobs: 0\n"


@pytest.mark.feature("DBQ-06")
def test_jobs_that_stay_are_passed_once_however_many_are_deleted(
    steps: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "WINDOW", 2)
    stay = [make(steps, "plain", run_after=datetime.now(UTC) + timedelta(hours=1)) for _ in range(4)]
    for _ in range(6):
        make(steps, "plain")
    steps.run("plain")
    past = {"sqlite": "datetime('now', '-25 hours') || '.000000'", "postgresql": "now() - interval '25 hours'"}
    steps.query(f"UPDATE jobcron_job SET date_created = {past[steps.database.dialect]}")
    with noted_statements() as noted:
        assert delete_old(steps.database, 24) == 6
    assert [row.id for row in steps.rows()] == stay
    asked = [(text, values) for text, values in noted if "LIMIT" in text and "jobcron_job" in text]
    assert len(asked) == len(set(map(repr, asked))) == 6  # each window is another one


@pytest.mark.feature("DBQ-06", "DBQ-01")
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("tasks: stepsapp.nothing", "key tasks: expected nothing in stepsapp to be a function, found no"),
        ("tasks: nowhere.first", "key tasks: expected the module nowhere to be importable"),
        ("tasks: stepsapp.first\nfailure_hook: stepsapp.x", "failure_hook: expected x in stepsapp to be a"),
        ("tasks: a..b", "key tasks: expected a dotted name such as package.module.Name, got: a..b"),
        ("failure_hook: stepsapp.x", "key failure_hook: expected the key tasks beside it, got: none"),
        ("tasks: a.b\nsource_interface: c.d", "key tasks: expected no source_interface beside it, got: c.d"),
        (
            "tasks: first",
            "key tasks: expected tasks of jobcron.steps.sections.broken to be functions or",
        ),
        ("tasks: stepsapp.lazy", "expected stepsapp.lazy to be a function that a call runs, got async def"),
        ("queue: a b", "key queue: expected a letter"),
    ],
)
def test_a_definition_that_cannot_be_run_is_told_before_any_job(steps: Instance, lines: str, message: str) -> None:
    path = steps.path / "jobcron.conf"
    path.write_text(f"{path.read_text()}\n[broken]\n{lines}\n")
    for command in (["check-config"], ["run", "broken"]):
        out, err = steps.command(*command, expect=2)
        assert message in out + err
        assert "section [broken]" in out + err
        assert "Traceback" not in out + err


@pytest.mark.feature("DBQ-01")
def test_a_section_and_a_class_of_the_same_name_are_told_apart(steps: Instance) -> None:
    path = steps.path / "jobcron.conf"
    path.write_text(path.read_text().replace("source_interface: stepsapp.Plain", "tasks: stepsapp.first"))
    _, err = steps.command("run", "plain", expect=2)
    assert "section [plain], key tasks: expected one class for the job type steps.plain, got two" in err


@pytest.mark.feature("DBQ-01", "DBQ-08")
def test_check_config_knows_sections_of_tasks_and_of_queues(steps: Instance) -> None:
    out, _ = steps.command("check-config")
    assert "section configured: jobcron.steps.sections.configured, run by JobRunner" in out
    assert "section cats: jobcron.steps.queues.cats, run by JobRunner" in out
