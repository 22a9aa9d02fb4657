"""Run scripts as cron does."""

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
    """Run a script in a separate process, and return its exit status, standard output and standard error.

    Args:
        script: the path of the executable.
        args: its arguments.
        expect_returncode: the expected exit status.
        extra_env: variables to add to this process's environment.
        cwd: the directory to run it in.
        timeout: seconds after which the script is killed.

    Raises:
        AssertionError: the script exited with another status; the message contains all its output.
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
