"""Fixtures of the tests of reports: an instance that writes metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alarmapp import SECTIONS
from instances import Instance
from metricsapp import heard


@pytest.fixture
def events() -> list[Any]:
    """Return what the hook is told."""
    heard.clear()
    return heard


@pytest.fixture
def alarmed(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Return an instance whose jobs log."""
    monkeypatch.setenv("ALARM_FILE", str(tmp_path / "published"))
    instance.configure(sections=SECTIONS)
    return instance
