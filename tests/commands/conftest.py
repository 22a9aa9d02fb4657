"""Fixtures of the tests of commands: they work in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is written by default out of the checkout."""
    monkeypatch.chdir(tmp_path)
