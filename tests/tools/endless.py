"""A time that is endless for a test, and the check that a block took less."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

ENDLESS_SECONDS = 20.0
"""Long enough to be noticed, and to end by itself where the code is wrong."""


@contextmanager
def soon() -> Iterator[None]:
    """Assert that the block does not take as long as what is endless."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < ENDLESS_SECONDS
