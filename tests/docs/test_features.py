"""The list of promises: which are kept is said by tests, and checked."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module that makes the list."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("generate_features")


def read(listed: Any, folder: Path, promises: str, tests: str) -> Any:
    """Return the tests of each promise, as `docs/features.toml` and a test file would say them."""
    (folder / "features.toml").write_text(promises)
    (folder / "test_it.py").write_text(tests)
    rows = [row for found in listed.promises(folder / "features.toml").values() for row in found]
    return listed.tests_of(rows, listed.marked_tests([folder]))


def promise(status: str, text: str = "It holds.") -> str:
    """Return a list with one promise."""
    return f'[AB]\ntitle = "Something"\n[AB.promises.01]\ntext = "{text}"\nstatus = "{status}"\n'


MARKED = '@pytest.mark.feature("AB-01")\n'


def test_every_promise_has_the_tests_that_it_claims(listed: Any) -> None:
    systems = listed.promises()
    rows = {row.id: row for found in systems.values() for row in found}
    tests = listed.tests_of(rows.values(), listed.marked_tests())
    assert list(systems) == [
        "Launchpad's Job System",
        "django-db-queue",
        "OpenERP's connector queue",
        "django-future",
        "New: in none of the systems replaced",
    ]
    assert len([number for number in rows if number.startswith("LP-")]) == 35
    assert len(rows) == 35 + 8 + 13 + 8 + 15
    assert all(tests[number] for number, row in rows.items() if row.status == "claimed")


def test_marks_of_functions_and_of_classes_are_found(listed: Any, tmp_path: Path) -> None:
    tests = (
        f"{MARKED}def test_one(): ...\n"
        f"{MARKED}class TestAll:\n    def test_two(self): ...\n    def setUp(self): ...\n"
        "def test_three(): ...\n"
        f"@pytest.mark.parametrize('x', [1])\n{MARKED}@other\nasync def test_four(x): ...\n"
    )
    found = read(listed, tmp_path, promise("claimed"), tests)
    assert [test.name for test in found["AB-01"]] == ["test_one", "test_two", "test_four"]


def test_a_part_may_be_shown_before_all_is_claimed(listed: Any, tmp_path: Path) -> None:
    found = read(listed, tmp_path, promise("not yet"), f"{MARKED}def test_one(): ...\n")
    assert [test.name for test in found["AB-01"]] == ["test_one"]


@pytest.mark.parametrize(
    ("promises", "tests", "message"),
    [
        (promise("claimed"), "def test_one(): ...\n", "shown by no test: AB-01"),
        (promise("claimed"), f"{MARKED}def no_test(): ...\n", "shown by no test: AB-01"),
        (promise("claimed"), '@pytest.mark.feature("AB-1")\ndef test_one(): ...\n', "AB-1, which is not in"),
        (promise("claimed"), "@pytest.mark.feature(*IDS)\ndef test_one(): ...\n", "expected ids as texts"),
        (promise("done"), f"{MARKED}def test_one(): ...\n", "got Promise.*status='done'"),
        (promise("claimed", ""), f"{MARKED}def test_one(): ...\n", "expected AB-01 to have a text"),
    ],
    ids=["untested", "no test", "unknown", "not literal", "no such status", "no text"],
)
def test_a_claim_that_nothing_shows_is_an_error(
    listed: Any, tmp_path: Path, promises: str, tests: str, message: str
) -> None:
    with pytest.raises(Exception, match=message):
        read(listed, tmp_path, promises, tests)
