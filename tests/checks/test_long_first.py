"""Tests that take long begin first, spread over the workers, and none is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from long_first import LONG, dealt
from paths import TESTS, TOOLS

CONFTEST = """
import os
import long_first

def pytest_collection_modifyitems(items):
    long_first.put_long_tests_first(items)

def pytest_runtest_logstart(nodeid):
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        with open(f"{worker}.began", "a") as file:
            print(nodeid.partition("::")[0], file=file)
"""

TESTS_OF_A_FILE = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_it(number):
    pass
"""


@pytest.mark.parametrize(
    ("long", "short", "workers", "expected"),
    [
        ("AB", "cdef", 2, "AcdBef"),
        ("ABC", "def", 2, "ACdBef"),
        ("ABC", "", 2, "ABC"),
        ("ABCDE", "", 3, "ABECD"),
        ("", "abc", 2, "abc"),
        ("A", "", 4, "A"),
        ("ABC", "d", 4, "ABCd"),
        ("ABCD", "efghijklm", 3, "ADefBghiCjklm"),
    ],
)
def test_each_worker_gets_its_share_of_the_long_ones_first(
    long: str, short: str, workers: int, expected: str
) -> None:
    assert "".join(dealt(long, short, workers)) == expected


@pytest.mark.parametrize("workers", range(1, 9))
@pytest.mark.parametrize("count", [0, 1, 3, 10])
@pytest.mark.parametrize("others", [0, 1, 7, 30])
def test_none_is_lost_and_none_comes_twice(workers: int, count: int, others: int) -> None:
    long, short = range(count), range(count, count + others)
    assert sorted(dealt(long, short, workers)) == [*long, *short]


def test_each_worker_begins_with_a_long_test(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TOOLS}\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name in ("test_a", "test_b", LONG[0], LONG[1]):
        (tmp_path / f"{name}.py").write_text(TESTS_OF_A_FILE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "worksteal"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "16 passed" in done.stdout, done.stdout
    began = [path.read_text().split() for path in tmp_path.glob("*.began")]
    assert [files[0] for files in began] == [f"{LONG[0]}.py"] * 2, began


def test_each_long_file_is_there() -> None:
    names = [path.stem for path in TESTS.rglob("test_*.py")]
    assert {name: names.count(name) for name in LONG} == dict.fromkeys(LONG, 1)
