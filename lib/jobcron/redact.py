"""What may never appear in a report, a log or a mail: passwords, and whatever looks like one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

HIDDEN = "***"

MIN_SECRET = 6
"""Shorter values of the environment are not hidden: they would make holes in every text."""

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|api_?key|credential|authorization|cookie|private_?key|dsn",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s@/]+(?=@)", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?P<before>\b(?:password|passwd|pwd|secret|api_?key)\b['\"]?\s*[=:]\s*)['\"]?[^\s'\",;)]+",
    re.IGNORECASE,
)


class Redactor:
    """Replaces secrets in what is about to be written.

    Args:
        secrets: texts that are hidden wherever they stand, such as the password of the database's URL.
            Those of the environment whose names say that they are secret are added.
    """

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        known = {s for s in secrets if s}
        known |= {v for k, v in os.environ.items() if _SECRET_NAME.search(k) and len(v) >= MIN_SECRET}
        self._secrets = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _URL_PASSWORD.sub(rf"\g<before>{HIDDEN}", text)
        return _ASSIGNED.sub(rf"\g<before>{HIDDEN}", text)

    def value(self, value: Any) -> Any:
        """Return a value of a report without secrets, and of types that JSON has."""
        if isinstance(value, bool | int | float) or value is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {str(k): self.named(str(k), v) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return self.text(printed(value))

    def named(self, name: str, value: Any) -> Any:
        """Return a named value: hidden whole where its name says that it is a secret.

        Numbers stay: a lease token is a counter, not a secret.
        """
        if _SECRET_NAME.search(name) and not isinstance(value, int | float):
            return HIDDEN
        return self.value(value)


def printed(value: object) -> str:
    """Return `repr(value)`, or what can be said of a value that cannot be printed."""
    try:
        return repr(value)
    except Exception as error:  # a report must be made whatever a job's objects do
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"
