"""Say how many there are of something."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """Return a number with a noun in the form that fits: ``1 job``, ``2 jobs``, ``0.5 seconds``."""
    if number == 1:
        return f"1 {noun}"
    shown = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{shown} {noun}{'es' if noun.endswith(('s', 'sh', 'ch', 'x')) else 's'}"
