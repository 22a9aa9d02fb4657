"""Fixtures of the tests of the subcommands about jobs."""

from __future__ import annotations

import pytest

from instances import Instance
from operating import Operator


@pytest.fixture
def operator(instance: Instance, capsys: pytest.CaptureFixture[str]) -> Operator:
    """Return what runs ``jobcron`` on an instance."""
    return Operator(instance, capsys)
