"""Fixtures of the tests of groups: an instance whose jobs share transactions, and the groups that there were."""

from __future__ import annotations

from typing import Any

import pytest

import fooapp
from instances import Instance
from jobcron.runner.grouped import _group, _pace


@pytest.fixture
def grouped(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose ActJobs share transactions."""
    monkeypatch.setattr(fooapp.ActJob, "database_only", True)
    monkeypatch.setattr(fooapp.ActJob, "group_commit", True)
    monkeypatch.setattr(_pace, "GROUP_SECONDS", 5.0)  # whatever else the machine does
    return instance


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list to which each group's result is added, once it is over."""
    found: list[Any] = []
    run = _group.Group.run

    def noted(self: _group.Group) -> _group.Result:
        result = run(self)
        found.append(result)
        return result

    monkeypatch.setattr(_group.Group, "run", noted)
    return found
