"""Run a tick, and see whether it took the full path."""

from __future__ import annotations

from instances import Instance
from paths import TOOLS


def took_the_full_path(instance: Instance, section: str, expect: int = 0) -> bool:
    """Run a section, and tell whether it went beyond the tick."""
    out, _ = instance.command("run", section, expect=expect, program=TOOLS / "tick_probe.py")
    return {"True\n": True, "False\n": False}[out]
