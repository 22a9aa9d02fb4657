"""The checks of the layout: each rule finds what it forbids, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).parents if (folder / "setup.cfg").is_file())
PROGRAM = ROOT / "tools" / "check_layout.py"

Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Return a function that writes files, checks the tree, and returns the status and the lines."""

    def check(files: dict[str, str], *arguments: str) -> tuple[int, list[str]]:
        for name, text in {"lib/jobcron/__init__.py": "", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = [sys.executable, str(PROGRAM), *arguments, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    return check


def function(lines: int) -> str:
    return "def work():\n" + "    pass\n" * (lines - 1)


def test_a_file_has_at_most_300_lines(check: Check) -> None:
    assert check({"lib/jobcron/queue/_a.py": "pass\n" * 300}) == (0, [])
    assert check({"lib/jobcron/queue/_a.py": "pass\n" * 301}) == (
        1,
        ["lib/jobcron/queue/_a.py:301: expected a file of at most 300 lines, got: 301"],
    )


def test_a_function_has_at_most_45_lines(check: Check) -> None:
    assert check({"lib/jobcron/queue/_a.py": "\n" + function(45)}) == (0, [])
    assert check({"lib/jobcron/queue/_a.py": "\n" + function(46)}) == (
        1,
        ["lib/jobcron/queue/_a.py:2: expected work to have at most 45 lines, got: 46"],
    )


def test_a_function_inside_a_class_counts_as_well(check: Check) -> None:
    method = "class A:\n" + "".join(f"    {line}\n" for line in f"async {function(46)}".splitlines())
    assert check({"lib/jobcron/queue/_a.py": method}) == (
        1,
        ["lib/jobcron/queue/_a.py:2: expected work to have at most 45 lines, got: 46"],
    )


def test_a_room_has_at_most_20_files_and_a_room_inside_counts_as_one(check: Check) -> None:
    inside = {f"lib/jobcron/runner/isolated/_b{number}.py": "" for number in range(19)}
    inside["lib/jobcron/runner/isolated/__init__.py"] = ""
    files = inside | {f"lib/jobcron/runner/_a{number}.py": "" for number in range(18)}
    files["lib/jobcron/runner/__init__.py"] = ""
    assert check(files) == (0, [])
    assert check({"lib/jobcron/runner/_a18.py": ""}) == (
        1,
        ["lib/jobcron/runner:1: expected a room of at most 20 files, got: 21"],
    )


@pytest.mark.parametrize(
    "probe",
    [
        'getattr(job, "time_limit", None)',
        "getattr(job, name, None)",
        'hasattr(source, "load")',
        "hasattr(source, NAME)",
    ],
)
def test_a_job_or_a_source_is_not_asked_for_what_it_may_not_have(check: Check, probe: str) -> None:
    status, found = check({"lib/jobcron/queue/_a.py": f"\nvalue = {probe}\n"})
    assert status == 1
    assert len(found) == 1
    assert found[0].startswith("lib/jobcron/queue/_a.py:2: expected a type from ")
    assert found[0].endswith(f", got: {probe.replace(chr(34), chr(39))}")


@pytest.mark.parametrize(
    "line",
    [
        "getattr(job, name)",
        'getattr(found, "__qualname__", None)',
        'hasattr(found, "__self__")',
        'getattr(error, "strerror", None)  # any object: an error of the system',
        '# any object: an error of the system\ngetattr(error, "strerror", None)',
        'getattr(\n    error, "strerror", None  # any object: an error of the system\n)',
        "job.getattr(job, name, None)",
    ],
)
def test_other_questions_are_allowed(check: Check, line: str) -> None:
    assert check({"lib/jobcron/queue/_a.py": f"{line}\n"}) == (0, [])


@pytest.mark.parametrize("comment", ["# any object:", "# it may have none"])
def test_an_exception_needs_its_reason(check: Check, comment: str) -> None:
    assert check({"lib/jobcron/queue/_a.py": f'hasattr(job, "load")  {comment}\n'})[0] == 1


def test_the_reason_of_one_line_is_none_for_the_next(check: Check) -> None:
    text = 'hasattr(a, "b")  # any object: a module\nhasattr(job, "load")\n'
    status, found = check({"lib/jobcron/queue/_a.py": text})
    assert status == 1
    assert [line.split()[0] for line in found] == ["lib/jobcron/queue/_a.py:2:"]


@pytest.mark.parametrize("name", ["errors", "settings/_a", "reports/_a", "database/_a", "queue/views"])
def test_the_adapter_and_what_never_sees_a_job_may_ask(check: Check, name: str) -> None:
    files = {f"lib/jobcron/{name}.py": 'hasattr(thing, "load")\n'}
    for tested in ("test_errors.py", "queue/test_views.py"):
        files[f"tests/{tested}"] = "def test_it(): pass\n"
    assert check(files) == (0, [])


def limit_of_any() -> int:
    found = re.search(r"^MAX_ANY = (\d+)$", PROGRAM.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_no_more_lines_than_before_have_the_word_any(check: Check) -> None:
    limit = limit_of_any()
    files = {"lib/jobcron/queue/_a.py": "a: Any; b: Any\n" * 100}
    assert check(files) == (0, [])
    assert check({"lib/jobcron/queue/_b.py": "# Anything, ANY, AnyTask\n" + "b: Any\n" * (limit - 100)}) == (0, [])
    assert check({"lib/jobcron/runner/_c.py": "from typing import Any\n"}) == (
        1,
        [
            f"lib/jobcron:1: expected at most {limit} lines with the word Any in the package, got: {limit + 1}; "
            "give the types"
        ],
    )


@pytest.mark.parametrize(
    ("module", "test"),
    [
        ("errors.py", "tests/test_errors.py"),
        ("queue/claim.py", "tests/queue/test_claim.py"),
        ("runner/isolated/runner.py", "tests/runner/isolated/test_runner.py"),
    ],
)
def test_a_public_module_has_a_test_file(check: Check, module: str, test: str) -> None:
    text = f"lib/jobcron/{module}:1: expected a public module to have tests in {test}, got: "
    assert check({f"lib/jobcron/{module}": ""}) == (1, [f"{text}none"])
    assert check({test: '"""There will be some."""\n'}) == (1, [f"{text}a file without a test"])
    assert check({test: "class TestClaim:\n    async def test_it(self): pass\n"}) == (0, [])


def test_what_begins_with_an_underscore_needs_no_test_file(check: Check) -> None:
    files = ("queue/__init__.py", "queue/_a.py", "commands/__main__.py", "_version.py")
    assert check({f"lib/jobcron/{name}": "" for name in files}) == (0, [])


def test_links_in_the_package_lead_to_data(check: Check, tmp_path: Path) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "long.py").write_text("pass\n" * 301, encoding="utf-8")
    (tmp_path / "lib" / "jobcron").mkdir(parents=True)
    (tmp_path / "lib" / "jobcron" / "schema").symlink_to(tmp_path / "schema")
    assert check({}) == (0, [])


def test_a_rule_may_come_later_and_its_faults_are_counted(check: Check) -> None:
    files = {"lib/jobcron/queue/_a.py": "pass\n" * 301, "lib/jobcron/queue/_b.py": function(46)}
    assert check(files, "--later", "files", "--later", "functions") == (
        0,
        [
            "layout: the rule 'files' is not enforced yet: 1 faults",
            "layout: the rule 'functions' is not enforced yet: 1 faults",
        ],
    )
    assert check({}, "--later", "files")[0] == 1


def test_a_tree_without_the_package_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"expected a checkout with a package in lib/jobcron, got: {tmp_path}" in done.stderr
