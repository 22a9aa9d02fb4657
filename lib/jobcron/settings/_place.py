"""Where a value of a configuration stands, and what is wrong there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from jobcron.errors import ConfigurationError
from jobcron.settings.suggestions import suggestion


class Place(NamedTuple):
    """Where a value stands, for messages: the file that sets it, section and key."""

    path: str
    section: str
    key: str

    def __str__(self) -> str:
        return f"{self.path}: section [{self.section}], key {self.key}"

    def refuse(self, expected: str, found: str, known: Iterable[str] = ()) -> ConfigurationError:
        """Return the error that says what was expected in this place.

        Args:
            expected: what would be right.
            found: what was written.
            known: words that would be right: the one that may be meant is named.
        """
        return ConfigurationError(f"{self}: expected {expected}, got: {found}{suggestion(found, known)}")


class Mistakes:
    """The mistakes of a configuration, each told once; what may only be a consequence of one is not told.

    Args:
        report: is called with each. If it raises, nothing after it is looked at.
    """

    def __init__(self, report: Callable[[ConfigurationError], None]) -> None:
        self._report = report
        self._sections: set[str] = set()
        self._has_lost_lines = False

    def note(self, error: ConfigurationError, section: str) -> None:
        """Tell a mistake in a section: what it lacks, and how its keys go together, is not looked at then."""
        self._sections.add(section)
        self._report(error)

    def note_lost(self, error: ConfigurationError) -> None:
        """Tell a mistake for which lines were left out: they may have had what is missing anywhere."""
        self._has_lost_lines = True
        self._report(error)

    def excuse(self, section: str) -> bool:
        """Return whether what a section lacks may be a consequence of a mistake that was told."""
        return self._has_lost_lines or section in self._sections
