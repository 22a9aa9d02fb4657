"""Say how many there are of something."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with a noun in the form that fits: ``1 job``, ``2 jobs``, ``0 jobs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
