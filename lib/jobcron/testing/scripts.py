"""Running scripts as cron does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence


def run_script(
    script: str | os.PathLike[str],
    args: Sequence[str] = (),
    expect_returncode: int = 0,
    *,
    extra_env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float = 120,
) -> tuple[int, str, str]:
    """Run a script in a process of its own, and return its status, standard output and standard error.

    Args:
        script: the path of the executable.
        args: its arguments.
        expect_returncode: the status that it has to leave with.
        extra_env: set in the environment besides what this process has.
        cwd: the directory to run it in.
        timeout: seconds after which it is killed.

    Raises:
        AssertionError: it left with another status; the message has all that it printed.
    """
    done = subprocess.run(
        [os.fspath(script), *args],
        env={**os.environ, **(extra_env or {})},
        cwd=cwd,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect_returncode, (
        f"{script} left with status {done.returncode}, expected {expect_returncode}\n"
        f"standard output:\n{done.stdout}\nstandard error:\n{done.stderr}"
    )
    return done.returncode, done.stdout, done.stderr
