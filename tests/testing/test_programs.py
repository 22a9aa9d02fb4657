"""Finding PostgreSQL's programs, and the account that may run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobcron.testing.programs import ServerNotFound, find_programs, server_account, server_environment

WHERE = "JOBCRON_TEST_PG_BINDIR"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that every account may enter."""
    path = Path(tempfile.mkdtemp(prefix="jobcron-programs-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def install(folder: Path, version: str) -> None:
    """Write programs that say a version."""
    for name in ("initdb", "pg_ctl", "postgres"):
        path = folder / name
        path.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        path.chmod(0o755)


def test_the_environment_names_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder, "14.2")
    monkeypatch.setenv(WHERE, str(folder))
    assert find_programs() == folder


@pytest.mark.parametrize(
    ("version", "said"), [(None, "has no initdb"), ("13.9", r"is too old: postgres \(PostgreSQL\) 13\.9")]
)
def test_what_the_environment_names_is_refused_with_the_reason_and_nothing_else_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, said: str
) -> None:
    if version:
        install(folder, version)
    monkeypatch.setenv(WHERE, str(folder))
    with pytest.raises(ServerNotFound, match=f"got none:\n  {WHERE}: {folder} {said}\nInstall PostgreSQL"):
        find_programs()


def test_programs_that_do_not_run_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder, "14.2")
    (folder / "postgres").write_text("#!/bin/sh\nexit 3\n")
    monkeypatch.setenv(WHERE, str(folder))
    with pytest.raises(ServerNotFound, match="cannot be run: "):
        find_programs()


def test_as_a_program_it_prints_the_folder_or_leaves_with_the_message(folder: Path) -> None:
    command = [sys.executable, "-m", "jobcron.testing.programs"]
    environment = {**os.environ, WHERE: str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected the programs of PostgreSQL" in done.stderr
    install(folder, "16.1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{folder}\n")


def test_a_server_is_never_run_by_root() -> None:
    account = server_account()
    assert account == {} if os.geteuid() else account["user"] != 0


def test_a_server_does_not_see_our_settings_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("SHOP", "mine")
    found = server_environment()
    assert "PGHOST" not in found
    assert (found["SHOP"], found["LC_ALL"]) == ("mine", "C")
