"""Fixtures of the tests of operations."""

from __future__ import annotations

import pytest

import fooapp
from examining import Usage
from instances import Instance

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\n"


@pytest.fixture
def well(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance in which nothing is wrong."""
    fooapp.register()
    instance.configure(sections=SECTIONS)
    instance.run("act")
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(1 << 40, 0, 1 << 40))
    return instance
