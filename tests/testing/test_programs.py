"""Finding PostgreSQL's programs, and what is said where there are none."""

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
