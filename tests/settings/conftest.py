"""Fixtures of the tests of settings: write a configuration, and compile one."""

from __future__ import annotations

from pathlib import Path

import pytest

from configurations import GOOD, JOBS, Write
from jobcron.settings._compiled import COMPILED_NAME
from jobcron.settings.instance import load_settings


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a configuration and returns its file."""
    folder = tmp_path / "here"
    folder.mkdir()

    def write(text: str | bytes = GOOD, name: str = "jobcron.conf") -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def compiled(write: Write) -> Path:
    """Return a configuration whose settings have been compiled."""
    path = write(GOOD + "oops_prefix: A\n" + JOBS)
    (path.parent / "state").mkdir(mode=0o700)
    assert load_settings(str(path)).oops_prefix == "A"
    kept = path.parent / "state" / COMPILED_NAME
    assert kept.stat().st_mode & 0o777 == 0o600
    return path
