"""Where a value of a configuration stands."""

from __future__ import annotations

from typing import NamedTuple

from jobcron.errors import ConfigurationError


class Place(NamedTuple):
    """Where a value stands, for messages: the file that sets it, section and key."""

    path: str
    section: str
    key: str

    def __str__(self) -> str:
        return f"{self.path}: section [{self.section}], key {self.key}"

    def refuse(self, expected: str, found: str) -> ConfigurationError:
        """Return the error that says what was expected in this place."""
        return ConfigurationError(f"{self}: expected {expected}, got: {found}")
