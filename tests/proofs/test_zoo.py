"""A few animals of the bug zoo in each run; `make zoo` shows them all."""

from __future__ import annotations

import random

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


@pytest.mark.parametrize("names", [TODAY[:2], TODAY[2:4], TODAY[4:]], ids=["first", "second", "third"])
def test_a_fault_that_is_put_back_is_caught(names: tuple[str, ...]) -> None:
    bugs = {bug.name: bug for bug in zoo.BUGS}
    assert bugs.keys() >= {*names}
    name = random.choice(names)  # of two, another one from run to run: each takes three seconds
    found = zoo.catch(bugs[name])
    assert found.is_caught, f"{name}: {found.said}"


def test_every_edit_of_the_zoo_fits_the_code() -> None:
    assert len(zoo.BUGS) >= 25
    for bug in zoo.BUGS:
        text = (zoo.ROOT / "lib" / "jobcron" / bug.file).read_text()
        assert text.count(bug.good) == 1, f"{bug.name}: {bug.file} does not have its text once"
        assert (zoo.ROOT / bug.proof[0]).exists()
