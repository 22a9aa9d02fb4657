"""Fixtures of the tests of schedules as an operator sees them."""

from __future__ import annotations

import pytest

from instances import Instance
from operating import Operator
from schedules import Scheduled


@pytest.fixture
def scheduled(instance: Instance) -> Scheduled:
    """Return an instance with schedules."""
    return Scheduled(instance)


@pytest.fixture
def operator(instance: Instance, capsys: pytest.CaptureFixture[str]) -> Operator:
    """Return what runs ``jobcron`` on an instance."""
    return Operator(instance, capsys)
