"""An instance with schedules."""

from __future__ import annotations

import pytest

from instances import Instance
from schedules import Scheduled


@pytest.fixture
def scheduled(instance: Instance) -> Scheduled:
    """Return an instance with schedules."""
    return Scheduled(instance)
