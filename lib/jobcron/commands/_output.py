"""What the subcommands say on standard output."""

from __future__ import annotations

import os
import sys

from jobcron.errors import DirectoryError


def say(text: str) -> None:
    """Print lines.

    Raises:
        DirectoryError: standard output does not take them: the disk is full, or nobody reads any more.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (what is left over goes nowhere)
        raise DirectoryError(f"expected standard output to take what is said, got: {error.strerror}") from error
