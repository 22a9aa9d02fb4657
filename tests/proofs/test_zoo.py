"""A few animals of the bug zoo, on every day; `make zoo` shows them all."""

from __future__ import annotations

import pytest

import zoo

TODAY = (
    "completed whatever its status",
    "lock file removed",
    "reported twice",
    "an error is swallowed",
    "a retry keeps its work",
    "a group completes what has not run",
)


@pytest.mark.parametrize("bug", [bug for bug in zoo.BUGS if bug.name in TODAY], ids=lambda bug: bug.name)
def test_a_fault_that_is_put_back_is_caught(bug: zoo.Bug) -> None:
    found = zoo.catch(bug)
    assert found.is_caught, found.said


def test_every_edit_of_the_zoo_fits_the_code() -> None:
    assert len(zoo.BUGS) >= 25
    for bug in zoo.BUGS:
        text = (zoo.ROOT / "lib" / "jobcron" / bug.file).read_text()
        assert text.count(bug.good) == 1, f"{bug.name}: {bug.file} does not have its text once"
        assert (zoo.ROOT / bug.proof[0]).exists()
