"""Hooks that are told of jobs and runs: one that keeps what it hears, and two that fail."""

from __future__ import annotations

from typing import Any

heard: list[Any] = []
"""What the hook of these tests was told."""


def refuse(event: object) -> None:
    """Fail, as a hook."""
    raise OSError(f"nobody listens to {type(event).__name__}")


def leave(event: object) -> None:
    """Leave the process, as a hook."""
    raise SystemExit(3)
