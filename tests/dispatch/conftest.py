"""Fixtures: an instance whose jobs of the section [act] are offered to a dispatcher that notes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import dispatchapp
from instances import Instance


@pytest.fixture
def offering(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """Return an instance for which this process creates jobs, as an application's does."""
    instance.configure(sections=dispatchapp.SECTIONS)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    yield instance
    dispatchapp.offered.clear()
    dispatchapp.withdrawn.clear()
    dispatchapp.errors.clear()
