"""The tool that changes modules: it knows which tests execute which line, and changes a module that is in use."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOL = Path(__file__).resolve().parent.parent.parent / "tools" / "mutants"

SOURCE = '''"""A module that decides."""
from __future__ import annotations

LIMIT = 3

class Judge:
    limit = LIMIT

    def decide(self, number: int) -> str:
        """Decide."""
        if number < self.limit:
            return "few"
        try:
            return self.many(number)
        finally:
            self.number = number

    def many(self, number: int) -> str:
        return "many"
'''


def load(name: str, path: Path) -> Any:
    """Return a module from a file, under a name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def judge(tmp_path: Path) -> ModuleType:
    """Return the module, imported."""
    path = tmp_path / "judging.py"
    path.write_text(SOURCE)
    module: ModuleType = load("judging", path)
    return module


def line_of(words: str) -> int:
    """Return the number of the line with some words."""
    return 1 + next(number for number, line in enumerate(SOURCE.splitlines()) if words in line)


def test_each_statement_is_known_by_the_tests_that_execute_it_also_in_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = load("mutant_lines", TOOL / "lines.py")
    log, path = tmp_path / "log", tmp_path / "watched.py"
    text, statements = lines.watched(SOURCE, log)
    path.write_text(text)
    judge = load("watched_judging", path).Judge()
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "test_few[sqlite] (call)")
    assert judge.decide(1) == "few"
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "test_many (call)")
    thread = threading.Thread(target=judge.decide, args=(5,))
    thread.start()
    thread.join()
    coverage = lines.Coverage(statements, log)
    both = {"test_few[sqlite]", "test_many"}
    assert coverage.tests_of(line_of('return "few"')) == {"test_few[sqlite]"}
    assert coverage.tests_of(line_of('return "many"')) == {"test_many"}
    assert coverage.tests_of(line_of("self.number = ")) == {"test_many"}
    assert coverage.tests_of(line_of("if number")) == both
    assert coverage.tests_of(line_of("LIMIT = 3")) == both  # what is in no function


def test_functions_that_are_in_use_get_changed_code(judge: Any) -> None:
    warm = load("mutant_warm", TOOL / "warm.py")
    decide = judge.Judge().decide
    assert decide(2) == "few"
    codes = warm.new_codes(SOURCE, SOURCE.replace("number < ", "number > "), "judging.py")
    warm.change("judging", codes)
    assert decide(2) == "many"


@pytest.mark.parametrize(("old", "new"), [("LIMIT = 3", "LIMIT = 4"), ("limit = LIMIT", "limit = None")])
def test_what_is_changed_outside_of_functions_needs_a_new_process(old: str, new: str) -> None:
    warm = load("mutant_warm", TOOL / "warm.py")
    assert warm.new_codes(SOURCE, SOURCE.replace(old, new), "judging.py") is None
