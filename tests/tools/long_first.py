"""Let the tests that take long begin first, or a processor has nothing to do while the last of them runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

Item = TypeVar("Item")

LONG = (
    "test_storm",
    "test_model",
    "test_deaths",
    "test_imports",
    "test_faults",
    "test_versions",
    "test_disks",
    "test_cuts",
    "test_pooling",
    "test_steps_deaths",
    "test_creators",
    "test_zoo",
    "test_typing",
    "test_interleavings",
)
"""The files with tests that take ten seconds and more beside others, the longest first."""


def put_long_tests_first(items: list[pytest.Item]) -> None:
    """Deal the long tests out among the workers of pytest-xdist, for each to begin with.

    In a process without workers the order stays.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if workers > 1:
        place = {name: number for number, name in enumerate(LONG)}
        long = [item for item in items if item.path.stem in place]
        long.sort(key=lambda item: place[item.path.stem])
        short = [item for item in items if item.path.stem not in place]
        items[:] = dealt(long, short, workers)


def dealt(long: Sequence[Item], short: Sequence[Item], workers: int) -> list[Item]:
    """Return all in an order of which each worker gets an equal part, with its share of the long ones first.

    The short ones stay together as they were: those of one file share what they need.
    """
    left, rest, order = list(short), len(long) + len(short), list[Item]()
    for number in range(workers):
        part = rest // (workers - number)  # so "worksteal" divides them
        rest -= part
        own = long[number::workers]
        left[:0] = own[part:]
        order += [*own[:part], *left[: part - len(own[:part])]]
        del left[: part - len(own[:part])]
    return order
