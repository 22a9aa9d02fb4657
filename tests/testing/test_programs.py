"""Finding PostgreSQL's programs, and what is said where there are none."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobcron.testing.programs import ServerNotFound, find_programs, server_environment


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Return a directory that other accounts may enter, as the one that runs PostgreSQL for root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def fake(folder: Path, version: str, names: tuple[str, ...] = ("initdb", "pg_ctl", "postgres")) -> Path:
    """Make programs that say that they are PostgreSQL's of a version."""
    folder.mkdir()
    for name in names:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    folder.chmod(0o755)
    return folder


def test_the_environment_decides_where_it_names_a_directory(
    open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fake(open_path / "bin", "17.2")
    monkeypatch.setenv("JOBCRON_TEST_PG_BINDIR", str(found))
    assert find_programs() == found


@pytest.mark.parametrize(
    ("version", "names", "reason"),
    [
        ("9.6.24", ("initdb", "pg_ctl", "postgres"), "is too old"),
        ("17.2", ("initdb", "pg_ctl"), "has no postgres"),
    ],
)
def test_a_server_that_does_not_serve_is_refused_with_the_reason_and_no_other_is_taken(
    open_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, names: tuple[str, ...], reason: str
) -> None:
    monkeypatch.setenv("JOBCRON_TEST_PG_BINDIR", str(fake(open_path / "bin", version, names)))
    with pytest.raises(ServerNotFound) as caught:
        find_programs()
    assert f"JOBCRON_TEST_PG_BINDIR: {open_path / 'bin'} {reason}" in str(caught.value)
    assert str(caught.value).count("\n") == 2


def test_as_a_program_it_prints_the_directory_or_leaves_with_where_it_looked(open_path: Path) -> None:
    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "JOBCRON_TEST_PG_BINDIR": str(folder)}
        command = [sys.executable, "-m", "jobcron.testing.programs"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    found = fake(open_path / "bin", "16.1")
    assert run(found).stdout == f"{found}\n"
    refused = run(open_path / "nowhere")
    assert refused.returncode == 1
    assert "has no initdb" in refused.stderr


def test_variables_of_libpq_lead_the_programs_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "elsewhere")
    assert not any(name.startswith("PG") for name in server_environment())
