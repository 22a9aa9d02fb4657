"""Run ``jobcron``'s commands, and the lines of a crontab as cron does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from instances import run_jobcron


def jobcron(
    *arguments: str, expect: int = 0, cwd: Path | None = None, env: dict[str, str] | None = None
) -> tuple[str, str]:
    """Run the command; return standard output and standard error."""
    out, err = run_jobcron(*arguments, expect=expect, extra_env=env, cwd=cwd)
    assert "Traceback" not in out + err
    return out, err


def as_cron(crontab: str, home: Path) -> list[subprocess.CompletedProcess[str]]:
    """Run the lines of a crontab as cron does: by sh, in the home directory, with what it assigns alone."""
    env = {"HOME": str(home), "LOGNAME": "me", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    done = []
    for line in crontab.splitlines():
        if assignment := re.fullmatch(r"([A-Z_]+)=(.*)", line):
            env[assignment[1]] = assignment[2].strip('"')
        elif line and not line.startswith("#"):
            command = re.sub(r"^(@\w+|(\S+ +){4}\S+) +", "", line)
            unescaped = re.sub(r"(?<!\\)%", "\n", command).replace(r"\%", "%")
            script, _, given = unescaped.partition("\n")
            done.append(
                subprocess.run(
                    ["/bin/sh", "-c", script],
                    env=env,
                    cwd=home,
                    input=given,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            )
    return done
