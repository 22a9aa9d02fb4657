"""The tree of exceptions: where each stands, and with which status a script leaves by it."""

from __future__ import annotations

import builtins
import inspect
import re

import pytest

import jobcron
from jobcron import Interrupted, InvalidTransition, JobStatus, LeaseLost, RetryableJobError, errors
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
    assert {name for name, status in statuses.items() if status == 2} == {"ConfigurationError", "NoSuchJob"}
    assert {name for name, status in statuses.items() if status == 3} == {"LockHeld"}
    assert set(statuses.values()) == {1, 2, 3}


def test_what_interrupts_a_job_is_no_exception_that_a_job_catches_by_chance() -> None:
    for error in (errors.Interrupted, errors.LeaseLost):
        assert not issubclass(error, Exception)
    assert issubclass(UserMistake, JobcronError)


LINE = re.compile(r"^(?P<indent>[ │]*)(?:[├└]── )?(?P<name>[A-Z]\w+)(?:  |$)(?:.*\(exit (?P<status>\d)\))?")


def drawn() -> dict[str, tuple[str, str | None]]:
    """Return the parent and the exit status of each error in the drawing."""
    found: dict[str, tuple[str, str | None]] = {}
    above: dict[int, str] = {}
    for line in str(errors.__doc__).partition("::\n")[2].splitlines():
        if match := LINE.match(line):
            depth = match.start("name")
            above = {place: name for place, name in above.items() if place < depth}
            if above:
                found[match["name"]] = (above[max(above)], match["status"])
            above[depth] = match["name"]
    return found


def error_class(name: str) -> type[BaseException]:
    """Return an error of ours or of Python's."""
    found: type[BaseException] = getattr(errors, name, None) or getattr(builtins, name)
    return found


def test_every_error_is_where_the_drawing_has_it() -> None:
    ours = {name for name, thing in vars(errors).items() if isinstance(thing, type)}
    assert ours == set(drawn())
    for name, (parent, _) in drawn().items():
        assert error_class(name).__bases__[0] is error_class(parent), name


def test_scripts_leave_with_the_status_that_the_drawing_says() -> None:
    statuses = {name: int(status) for name, (_, status) in drawn().items() if status}
    assert statuses
    assert {name: getattr(errors, name).exit_status for name in statuses} == statuses


@pytest.mark.parametrize("error", [Interrupted, LeaseLost])
def test_a_job_that_excepts_exceptions_does_not_swallow_what_ends_its_attempt(error: type[BaseException]) -> None:
    assert not issubclass(error, Exception)


def test_a_move_that_is_refused_names_both_statuses() -> None:
    error = InvalidTransition(JobStatus.COMPLETED, JobStatus.RUNNING)
    assert str(error) == "Transition from Completed to Running is invalid."
    assert (error.current, error.requested) == (JobStatus.COMPLETED, JobStatus.RUNNING)


def test_a_retry_may_say_when_and_whether_it_counts() -> None:
    assert (RetryableJobError("later").seconds, RetryableJobError("later").ignore_retry) == (None, False)
    error = RetryableJobError("later", seconds=5, ignore_retry=True)
    assert (str(error), error.seconds, error.ignore_retry) == ("later", 5, True)
