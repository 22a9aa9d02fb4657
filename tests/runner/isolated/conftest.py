"""Fixtures of the tests of isolated jobs."""

from __future__ import annotations

import pytest

import misbehavingapp
from instances import Instance
from isolated_jobs import configure


@pytest.fixture
def harsh(instance: Instance) -> Instance:
    """Return an instance with the jobs of `misbehavingapp`."""
    configure(instance)
    with instance.database.begin() as connection:
        misbehavingapp.Base.metadata.create_all(connection)
    return instance
