"""The folders of tests are in memory where there is room, and where somebody said otherwise they are there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from folders_in_memory import ROOT_VARIABLE, has_room
from paths import TOOLS

CONFTEST = """
from pathlib import Path
import folders_in_memory

folders_in_memory.MEMORY = Path({memory!r})
folders_in_memory.MEMORY_BYTES = 1

def pytest_configure(config):
    folders_in_memory.keep_folders_in_memory(config)
"""

TEST = """
def test_it(tmp_path):
    print(f"is in {tmp_path}.")
"""


def folder_of_a_test(project: Path, memory: Path, *options: str, **env: str) -> str:
    """Run a test in a pytest of its own, and return its folder."""
    (project / "pytest.ini").write_text(f"[pytest]\npythonpath = {TOOLS}\n")
    (project / "conftest.py").write_text(CONFTEST.format(memory=str(memory)))
    (project / "test_it.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=project, env={**environment, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.partition("is in ")[2].partition(".\n")[0]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """Return a folder for everybody, as /dev/shm is."""
    folder = tmp_path / "memory"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_folders_of_tests_are_in_memory(tmp_path: Path, memory: Path, workers: str) -> None:
    assert folder_of_a_test(tmp_path, memory, "-n", workers).startswith(f"{memory}/")


def test_they_are_where_somebody_says(tmp_path: Path, memory: Path) -> None:
    said = tmp_path / "said"
    assert folder_of_a_test(tmp_path, memory, f"--basetemp={said}").startswith(f"{said}/")
    said.mkdir(exist_ok=True)
    assert folder_of_a_test(tmp_path, memory, **{ROOT_VARIABLE: str(said)}).startswith(f"{said}/")


def test_they_are_on_the_disk_where_memory_has_no_room_or_is_not_for_everybody(memory: Path) -> None:
    assert has_room(memory, 1)
    assert not has_room(memory, 1 << 62)
    assert not has_room(memory / "nothing", 1)
    memory.chmod(0o755)
    assert not has_room(memory, 1)


def test_they_are_on_the_disk_where_memory_executes_nothing(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(os.statvfs(memory))
    found[8] |= os.ST_NOEXEC
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(found))
    assert not has_room(memory, 1)
