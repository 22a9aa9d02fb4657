"""Two sections that have run, what ``check-runs`` says of them, and times that are moved into the past."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

from instances import Instance
from jobcron.commands.main import main

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource
{act}

[do_foo]
source_interface: fooapp.IDoFooJobSource
schedule: @daily
"""


def check(instance: Instance, expect: int, *names: str) -> str:
    """Return what ``check-runs`` prints, in this process."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = main(["--config", str(instance.path), "check-runs", *names])
    assert (status, err.getvalue()) == (expect, ""), out.getvalue()
    return out.getvalue()


def monitored(instance: Instance, expect: int, *names: str) -> str:
    """Return what ``check-runs`` prints in a process of its own, as monitoring systems start it."""
    out, err = instance.command("check-runs", *names, expect=expect)
    assert err == ""
    return out


def move(instance: Instance, table: str, column: str, hours: float, where: str = "1 = 1") -> None:
    """Move a time of rows into the past."""
    moved = {
        "sqlite": f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{hours} hours')",
        "postgresql": f"{column} - interval '{hours} hours'",
    }[instance.database.dialect]
    instance.query(f"UPDATE {table} SET {column} = {moved} WHERE {where}")
