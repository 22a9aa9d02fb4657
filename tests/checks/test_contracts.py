"""The contracts of imports in setup.cfg: each is broken by what it forbids."""

from __future__ import annotations

import configparser
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).parents if (folder / "setup.cfg").is_file())
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

SINGLE_MODULES = ("errors", "interfaces", "_version")

DOWN = "Imports go down from room to room"
NO_CIRCLE = "No circle in the package or in a room"
PRIVATE = "Private modules stay in their room"


def contracts() -> configparser.ConfigParser:
    """Return the contracts of this checkout."""
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg", encoding="utf-8")
    for section in found.sections():
        if not section.startswith("importlinter"):
            found.remove_section(section)
    return found


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[dict[str, str]], set[str]]:
    """Return a function that writes files into a package with our rooms, and returns the broken contracts."""
    settings = contracts()
    with open(tmp_path / "setup.cfg", "w", encoding="utf-8") as file:
        settings.write(file)
    package = tmp_path / "jobcron"
    package.mkdir()
    (package / "__init__.py").touch()
    for room in settings["importlinter:contract:rooms"]["layers"].replace("|", " ").split():
        if room in SINGLE_MODULES:
            (package / f"{room}.py").touch()
        else:
            (package / room).mkdir()
            (package / room / "__init__.py").touch()

    def broken(files: dict[str, str]) -> set[str]:
        for name, text in files.items():
            path = package / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = [str(LINT_IMPORTS), "--no-logo", "--no-cache"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        found = {name for name in (DOWN, NO_CIRCLE, PRIVATE) if f"{name} BROKEN" in done.stdout}
        assert done.stdout.count(" KEPT") + len(found) == 3, done.stdout + done.stderr
        assert (done.returncode != 0) is bool(found)
        return found

    return broken


def test_imports_go_down(broken: Callable[[dict[str, str]], set[str]]) -> None:
    assert broken({"scripts/a.py": "import jobcron.jobs.b", "jobs/b.py": "import jobcron.errors"}) == set()


def test_an_import_of_a_higher_room_is_found(broken: Callable[[dict[str, str]], set[str]]) -> None:
    assert broken({"jobs/a.py": "import jobcron.runner.b", "runner/b.py": ""}) == {DOWN}


def test_an_import_for_types_counts(broken: Callable[[dict[str, str]], set[str]]) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from jobcron.runner import b\n"
    assert broken({"jobs/a.py": text, "runner/b.py": ""}) == {DOWN}


def test_an_import_in_a_function_counts(broken: Callable[[dict[str, str]], set[str]]) -> None:
    text = "def work():\n    from jobcron.runner import b\n    return b\n"
    assert broken({"jobs/a.py": text, "runner/b.py": ""}) == {DOWN}


def test_rooms_on_one_floor_do_not_import_each_other(broken: Callable[[dict[str, str]], set[str]]) -> None:
    assert broken({"queue/a.py": "import jobcron.functions.b", "functions/b.py": ""}) == {DOWN}


def test_a_circle_inside_a_room_is_found(broken: Callable[[dict[str, str]], set[str]]) -> None:
    assert broken({"jobs/a.py": "import jobcron.jobs.b", "jobs/b.py": "import jobcron.jobs.a"}) == {NO_CIRCLE}


def test_a_private_module_stays_in_its_room(broken: Callable[[dict[str, str]], set[str]]) -> None:
    files = {"jobs/_a.py": "", "jobs/b.py": "import jobcron.jobs._a"}
    assert broken(files) == set()
    assert broken({"runner/c.py": "import jobcron.jobs._a"}) == {PRIVATE}


def test_a_new_room_needs_its_floor(broken: Callable[[dict[str, str]], set[str]]) -> None:
    assert broken({"attic/__init__.py": ""}) == {DOWN}
