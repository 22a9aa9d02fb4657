"""The tree of exceptions: where each stands, and with which status a script leaves by it."""

from __future__ import annotations

import inspect

import pytest

import jobcron
from jobcron import errors
from jobcron.errors import JobcronError, UserMistake

CLASSES = {
    name: thing
    for name, thing in vars(errors).items()
    if inspect.isclass(thing) and issubclass(thing, BaseException) and thing.__module__ == errors.__name__
}


def test_the_modules_text_shows_every_exception_below_the_one_that_it_inherits_from() -> None:
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        words = line.replace("├── ", "    ").replace("└── ", "    ").replace("│", " ")
        if not words.startswith("    ") or not words.strip():
            continue
        depth, name = len(words) - len(words.lstrip()), words.split()[0]
        above = [(known, parent) for known, parent in above if known < depth]
        if above:
            parents[name] = above[-1][1]
        above.append((depth, name))
    assert parents == {name: thing.__bases__[0].__name__ for name, thing in CLASSES.items()}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_exception_can_be_imported_from_jobcron(name: str) -> None:
    assert getattr(jobcron, name) is CLASSES[name]


def test_a_mistake_of_the_configuration_leaves_with_2_a_held_lock_with_3_and_all_else_with_1() -> None:
    statuses = {name: thing.exit_status for name, thing in CLASSES.items() if issubclass(thing, JobcronError)}
    assert {name for name, status in statuses.items() if status == 2} == {"ConfigurationError"}
    assert {name for name, status in statuses.items() if status == 3} == {"LockHeld"}
    assert set(statuses.values()) == {1, 2, 3}


def test_what_interrupts_a_job_is_no_exception_that_a_job_catches_by_chance() -> None:
    for error in (errors.Interrupted, errors.LeaseLost):
        assert not issubclass(error, Exception)
    assert issubclass(UserMistake, JobcronError)
