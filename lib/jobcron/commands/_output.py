"""Standard output of the subcommands."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from jobcron.errors import DirectoryError
from jobcron.reports.complaints import visible


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        text: the finding, in one line.
        status: 0 for good news or a mere warning, else the exit status that it causes.
        is_warning: whether it is a warning.
    """

    text: str
    status: int = 0
    is_warning: bool = False

    @property
    def level(self) -> str:
        """The kind of finding in a word."""
        return "error" if self.status else "warning" if self.is_warning else "ok"

    def __str__(self) -> str:
        return f"{self.level:<8} {visible(self.text.replace(chr(10), ' '))}"


def say(text: str) -> None:
    """Print lines.

    Raises:
        DirectoryError: standard output refuses them: the disk is full, or the reader has gone.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (what is left over goes nowhere)
        raise DirectoryError(f"expected standard output to be writable, got: {error.strerror}") from error
