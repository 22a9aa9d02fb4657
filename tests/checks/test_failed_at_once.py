"""A test that fails is named at once, also where other processes run the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paths import TOOLS

CONFTEST = """
import pytest
from failed_at_once import show_failures_at_once

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    show_failures_at_once(config)
"""

TESTS = """
import pytest

@pytest.fixture
def broken():
    raise ValueError("no fixture")

def test_bad():
    assert False

def test_without_its_fixture(broken):
    pass

def test_good():
    pass
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_test_is_named_when_it_fails(tmp_path: Path, workers: str) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TOOLS}\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-rN", "-p", "no:cacheprovider", "-n", workers]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    before_the_details = done.stdout.partition("=== FAILURES ===")[0].partition("=== ERRORS ===")[0]
    named = [line for line in before_the_details.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert named == ["FAILED test_it.py::test_bad", "ERROR test_it.py::test_without_its_fixture"], done.stdout
