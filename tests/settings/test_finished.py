"""Calls that only begin their work are told from those that do it."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from jobcron import IncompleteJobType
from jobcron.settings.finished import finished, laziness


async def waits() -> None:
    """Do nothing, later."""


def yields() -> Iterator[int]:
    """Do nothing, later."""
    yield 1


async def waits_and_yields() -> AsyncIterator[int]:
    """Do nothing, later."""
    yield 1


class Promise:
    """Something that can be awaited."""

    def __await__(self) -> Iterator[None]:
        yield None


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (waits, "async def"),
        (yields, "a function with yield"),
        (waits_and_yields, "async def with yield"),
        (len, None),
        (lambda: waits(), None),  # seen when it is called
        (None, None),
    ],
)
def test_functions_that_only_begin_are_known_by_their_kind(function: Any, found: str | None) -> None:
    assert laziness(function) == found


@pytest.mark.parametrize("begin", [waits, yields, waits_and_yields, Promise])
def test_what_is_only_begun_is_refused_without_a_warning_of_pythons(begin: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(IncompleteJobType, match="expected it to do its work when it is called, got "):
            finished(begin(), "it")


def test_other_results_are_returned_and_a_generator_where_it_is_iterated() -> None:
    values: Any
    for values in (None, 0, [], {}, iter([1])):
        assert finished(values, "it") is values
    assert list(finished(yields(), "it", is_iterated=True)) == [1]
    with pytest.raises(IncompleteJobType):
        finished(waits_and_yields(), "it", is_iterated=True)
