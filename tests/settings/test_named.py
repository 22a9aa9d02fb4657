"""Names in a configuration: each key that names something of the user's says what is wrong with it, and where."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from instances import Instance
from jobcron.errors import ConfigurationError
from jobcron.settings.named import find_named

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


def checked(instance: Instance, expect: int = 2) -> str:
    """Return the one error that `check-config` finds, in a process that knows no other test's job types."""
    out, _ = instance.command("check-config", expect=expect)
    (error,) = [line for line in out.splitlines() if line.startswith("error")]
    return error.removeprefix("error").strip()


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", KEYS)
@on_sqlite
def test_a_module_that_does_not_exist_is_told_from_one_that_fails(
    instance: Instance, key: str, module_name: str
) -> None:
    place = configure(instance, key, module_name)
    error = checked(instance)
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
    instance: Instance, key: str, broken: str, module_name: str
) -> None:
    code, reason, line = BROKEN[broken]
    place = configure(instance, key, module_name)
    file = instance.path / f"{module_name}.py"
    file.write_text(code)
    error = checked(instance)
    assert error.startswith(place)
    assert f"expected the module {module_name} to be importable, it fails when it is imported: {reason}" in error
    assert error.endswith(f"(in {file}, line {line})")


@pytest.mark.feature("LP-26", "LP-29")
@pytest.mark.parametrize("key", KEYS)
@on_sqlite
def test_a_module_that_raises_stays_an_unexpected_error_that_names_the_key(
    instance: Instance, key: str, module_name: str
) -> None:
    place = configure(instance, key, module_name)
    (instance.path / f"{module_name}.py").write_text("1 / 0\n")
    error = checked(instance, expect=1)
    assert error.startswith("unexpected ZeroDivisionError: division by zero")
    assert place in error
    assert error.endswith(f": the module {module_name} raises this when it is imported")


def test_a_misspelt_name_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigurationError, match=r"found no such name; did you mean JobRunner\?"):
        find_named("jobcron.runner.job_runner.JobRuner", "here")


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", KEYS)
@on_sqlite
def test_a_name_that_its_module_does_not_have_is_refused(instance: Instance, key: str, module_name: str) -> None:
    place = configure(instance, key, module_name)
    (instance.path / f"{module_name}.py").write_text("")
    error = checked(instance)
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
    instance: Instance, key: str, code: str, found: str, module_name: str
) -> None:
    place = configure(instance, key, module_name)
    (instance.path / f"{module_name}.py").write_text(code)
    error = checked(instance)
    assert error.startswith(place)
    assert "expected" in error
    assert error.endswith(found) or key == "source_interface"


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize("key", ["application", "metrics_hook", "functions", "tasks", "failure_hook"])
@on_sqlite
def test_an_attribute_of_a_class_can_be_named(instance: Instance, key: str, module_name: str) -> None:
    configure(instance, key, module_name, "Outer.inner")
    (instance.path / f"{module_name}.py").write_text(
        "class Outer:\n    @staticmethod\n    def inner(*given): pass\n"
    )
    instance.command("check-config")


@pytest.mark.feature("LP-29")
@on_sqlite
def test_a_module_that_imports_late_and_in_vain_what_it_is_asked_for_is_refused(
    instance: Instance, module_name: str
) -> None:
    place = configure(instance, "metrics_hook", module_name)
    (instance.path / f"{module_name}.py").write_text("def __getattr__(name):\n    import no_such_library\n")
    error = checked(instance)
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


def package_with(instance: Instance, name: str, files: dict[str, str]) -> None:
    """Write a package, and name it in ``job_packages``."""
    folder = instance.path / name
    for file, code in {"__init__.py": "", **files}.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(code)
    instance.configure(f"job_packages: {name}\n")
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("python_path: ", f"python_path: {instance.path} "))


JOB = """
from jobcron import BaseRunnableJob, JobType
class {0}Type(JobType):
    DO = 1
class {0}(BaseRunnableJob):
    class_job_type = {0}Type.DO
    def run(self): pass
"""


@on_sqlite
def test_every_module_below_a_named_package_is_imported_but_those_of_tests(
    instance: Instance, module_name: str
) -> None:
    files = {
        "letters.py": JOB.format("Letters"),
        "deeper/__init__.py": JOB.format("Deeper"),
        "deeper/bills.py": JOB.format("Bills"),
        "plain/more.py": "1 / 0",
        **dict.fromkeys(["__main__.py", "conftest.py", "test_it.py", "it_test.py", "tests/__init__.py"], "1 / 0"),
    }
    package_with(instance, module_name, files)
    out, _ = instance.command("check-config", "--explain")
    for module in ("letters.Letters", "deeper.Deeper", "deeper.bills.Bills"):
        file = "deeper/__init__" if module == "deeper.Deeper" else module.rpartition(".")[0].replace(".", "/")
        place = f"{module_name}.{module} in {instance.path}/{module_name}/{file}.py, found below job_packages"
        assert f"{place} {module_name}, run by no section; one would have the lines [" in out
        assert f"source_interface: {module_name}.{module}" in out
    (line,) = re.findall("job_packages .*left out.*", out)
    imported, _, left_out = line.partition("; left out: ")
    assert imported == (
        f"job_packages {module_name}: {module_name}, {module_name}.deeper, {module_name}.deeper.bills, "
        f"{module_name}.letters"
    )
    names = [f"{module_name}.{name}" for name in ("__main__", "conftest", "it_test", "test_it", "tests")]
    assert left_out.split(", ") == [*names, f"{instance.path}/{module_name}/plain"]


@on_sqlite
def test_jobs_of_a_module_below_a_named_package_are_run(instance: Instance, module_name: str) -> None:
    package_with(instance, module_name, {"letters.py": JOB.format("Mailing")})
    path = instance.path / "jobcron.conf"
    path.write_text(f"{path.read_text()}\n[mailing]\nsource_interface: {module_name}.letters.Mailing\n")
    out, _ = instance.command("create", f"{module_name}.MailingType.DO")
    instance.command("run", "mailing")
    assert [row.status.name for row in instance.rows()] == ["COMPLETED"], out


@on_sqlite
@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"a.py": "import no_such_library"}, "expected the module {}.a to be importable, it fails"),
        ({"a/__init__.py": "", "a/b.py": "def f(:"}, "expected the module {}.a.b to be importable, it fails"),
        ({"a.py": "import sys\nsys.exit(3)"}, "SystemExit: 3"),
        ({"__init__.py": "import no_such_library"}, "expected the module {} to be importable, it fails"),
    ],
)
def test_a_module_below_a_named_package_that_fails_is_named(
    instance: Instance, module_name: str, files: dict[str, str], part: str
) -> None:
    package_with(instance, module_name, files)
    for command in (("check-config",), ("run", "act")):
        out, err = instance.command(*command, expect=2)
        assert f"{instance.path}/jobcron.conf: section [jobcron], key job_packages: " in out + err
        assert part.format(module_name) in out + err
        assert "Traceback" not in out + err


@on_sqlite
def test_what_job_packages_names_has_to_be_a_package(instance: Instance) -> None:
    instance.configure("job_packages: fooapp\n")
    assert "expected fooapp to be a package, found the module " in checked(instance)
    instance.configure("job_packages: no_such_package\n")
    assert "key job_packages: expected the module no_such_package to be importable" in checked(instance)


@on_sqlite
def test_a_package_may_lie_in_several_folders(instance: Instance, module_name: str) -> None:
    for folder, job in (("z", "Ones"), ("a", "Twos")):
        (instance.path / folder / module_name).mkdir(parents=True)
        (instance.path / folder / module_name / f"{job.lower()}.py").write_text(JOB.format(job))
    instance.configure(f"job_packages: {module_name}\n")
    path = instance.path / "jobcron.conf"
    path.write_text(
        path.read_text().replace("python_path: ", f"python_path: {instance.path}/z {instance.path}/a ")
    )
    out, _ = instance.command("check-config", "--explain")
    assert f"job_packages {module_name}: {module_name}, {module_name}.ones, {module_name}.twos\n" in out
