"""The commands for jobs of several tasks, by the names that django-db-queue has for them and by ours."""

from __future__ import annotations

import pytest

from instances import Instance
from steps_jobs import DEEP, look, make


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


@pytest.mark.feature("DBQ-03")
def test_a_job_of_several_tasks_is_shown_with_its_tasks_and_its_workspace(steps: Instance) -> None:
    job_id = make(steps, "plain", {"account": 7, "second": [("raise", "no cat")]})
    steps.run("plain")
    out, _ = steps.command("job", str(job_id))
    assert '["stepsapp.first"]' in out
    assert '["stepsapp.second", "stepsapp.third"]' in out
    assert '"account": 7' in out
