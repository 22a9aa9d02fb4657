"""Sections that list tasks."""

from __future__ import annotations

import pytest

from instances import Instance


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
