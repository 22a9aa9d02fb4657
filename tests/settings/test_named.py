"""Names in a configuration: each key that names something of the user's says what is wrong with it, and where."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from instances import Instance
from jobcron.commands._check_config import check_config

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

KEYS = {
    "application": "[jobcron]\napplication: {name}\n",
    "metrics_hook": "[jobcron]\nmetrics_hook: {name}\n",
    "oops_publishers": "[jobcron]\noops_publishers: {name}\n",
    "source_interface": "[some]\nsource_interface: {dotted}\n",
    "runner_class": "[some]\nsource_interface: fooapp.ActJob\nrunner_class: {dotted}\n",
    "functions": "[some]\nfunctions: {dotted}\n",
    "tasks": "[some]\ntasks: {dotted}\n",
    "failure_hook": "[some]\ntasks: fooapp.register\nfailure_hook: {dotted}\n",
}
"""Each key whose value is imported, and a configuration that has it."""

BROKEN = {
    "a missing import": ("import os\nimport no_such_library\n", "ModuleNotFoundError: No module named", 2),
    "a name that is not there": ("\nfrom os import no_such_name\n", "ImportError: cannot import name", 2),
    "a syntax error": ("x = 1\ndef f(:\n", "SyntaxError: invalid syntax", 2),
    "sys.exit": ("import sys\n\nsys.exit(4)\n", "SystemExit: 4", 3),
}

_numbers = itertools.count()


@pytest.fixture
def module_name() -> str:
    """Return a module's name that no other test uses: what is imported stays."""
    return f"named_{next(_numbers)}"


def configure(instance: Instance, key: str, module_name: str, attribute: str = "thing") -> str:
    """Let a key name `attribute` of a module in the instance's folder; return how messages call the place."""
    text = KEYS[key].format(name=f"{module_name}:{attribute}", dotted=f"{module_name}.{attribute}")
    more = text.partition("\n")[2] if text.startswith("[jobcron]") else ""
    instance.configure(more, "" if more else text)
    path = instance.path / "jobcron.conf"
    written = path.read_text().replace("python_path: ", f"python_path: {instance.path} ")
    if key == "application":
        written = written.replace("application: fooapp:register\n", "")
    path.write_text(written)
    shown = "tasks, failure_hook" if key == "failure_hook" else key
    return f"{path}: section [{'jobcron' if more else 'some'}], key {shown}"


def checked(instance: Instance, capsys: pytest.CaptureFixture[str], expect: int = 2) -> str:
    """Return the one error that `jobcron check-config` finds."""
    assert check_config(str(instance.path)) == expect
    (error,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("error")]
    return error.removeprefix("error").strip()


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", KEYS)
@on_sqlite
def test_a_module_that_does_not_exist_is_told_from_one_that_fails(
    instance: Instance, key: str, module_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = configure(instance, key, module_name)
    error = checked(instance, capsys)
    assert error.startswith(place)
    assert (
        f"expected the module {module_name} to be importable, found no module {module_name}; is it installed, or "
        "its folder in [jobcron] python_path?"
    ) in error


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("key", KEYS)
@on_sqlite
def test_a_module_that_cannot_be_imported_is_refused_with_its_own_error_and_line(
    instance: Instance, key: str, broken: str, module_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, reason, line = BROKEN[broken]
    place = configure(instance, key, module_name)
    file = instance.path / f"{module_name}.py"
    file.write_text(code)
    error = checked(instance, capsys)
    assert error.startswith(place)
    assert f"expected the module {module_name} to be importable, it fails when it is imported: {reason}" in error
    assert error.endswith(f"(in {file}, line {line})")


@pytest.mark.feature("LP-26", "LP-29")
@pytest.mark.parametrize("key", KEYS)
@on_sqlite
def test_a_module_that_raises_stays_an_unexpected_error_that_names_the_key(
    instance: Instance, key: str, module_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = configure(instance, key, module_name)
    (instance.path / f"{module_name}.py").write_text("1 / 0\n")
    error = checked(instance, capsys, expect=1)
    assert error.startswith("unexpected ZeroDivisionError: division by zero")
    assert place in error
    assert error.endswith(f": the module {module_name} raises this when it is imported")


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", KEYS)
@on_sqlite
def test_a_name_that_its_module_does_not_have_is_refused(
    instance: Instance, key: str, module_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = configure(instance, key, module_name)
    (instance.path / f"{module_name}.py").write_text("")
    error = checked(instance, capsys)
    assert error.startswith(place)
    assert re.search(rf"expected thing in {module_name} to be an? .*, found no such name$", error)


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    ("code", "found"),
    [("thing = 5\n", "an object of the class builtins.int"), ("thing = None\n", "builtins.NoneType")],
)
@pytest.mark.parametrize("key", KEYS)
@on_sqlite
def test_something_else_than_was_expected_is_refused(
    instance: Instance, key: str, code: str, found: str, module_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = configure(instance, key, module_name)
    (instance.path / f"{module_name}.py").write_text(code)
    error = checked(instance, capsys)
    assert error.startswith(place)
    assert "expected" in error
    assert error.endswith(found) or key == "source_interface"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", ["application", "metrics_hook", "functions", "tasks", "failure_hook"])
@on_sqlite
def test_an_attribute_of_a_class_can_be_named(
    instance: Instance, key: str, module_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(instance, key, module_name, "Outer.inner")
    (instance.path / f"{module_name}.py").write_text(
        "class Outer:\n    @staticmethod\n    def inner(*given): pass\n"
    )
    assert check_config(str(instance.path)) == 0, capsys.readouterr().out


@pytest.mark.feature("LP-29")
@on_sqlite
def test_a_module_that_imports_late_and_in_vain_what_it_is_asked_for_is_refused(
    instance: Instance, module_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = configure(instance, "metrics_hook", module_name)
    (instance.path / f"{module_name}.py").write_text("def __getattr__(name):\n    import no_such_library\n")
    error = checked(instance, capsys)
    assert error.startswith(place)
    assert "it fails when it is imported: ModuleNotFoundError: No module named 'no_such_library'" in error


@pytest.mark.feature("LP-12", "LP-29")
@pytest.mark.parametrize("key", ["runner_class", "source_interface", "tasks"])
@on_sqlite
def test_a_run_says_why_the_module_that_it_needs_cannot_be_imported(instance: Instance, key: str) -> None:
    place = configure(instance, key, "mine")
    (instance.path / "mine.py").write_text("import no_such_library\n")
    _, err = instance.command("run", "some", expect=2)
    assert f"{place}: expected the module mine to be importable" in err
    assert f"No module named 'no_such_library' (in {Path(instance.path, 'mine.py')}, line 1)" in err
    assert "Traceback" not in err
