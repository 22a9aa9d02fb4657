"""Two sections that have run, what ``check-runs`` says of them, and times that are moved into the past."""

from __future__ import annotations

from instances import Instance

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource
{act}

[do_foo]
source_interface: fooapp.IDoFooJobSource
schedule: @daily
"""


def check(instance: Instance, expect: int, *names: str) -> str:
    """Return what ``check-runs`` prints."""
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
