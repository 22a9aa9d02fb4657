"""The text of an error for people: made once, where the error is caught, and without secrets."""

from __future__ import annotations

from dataclasses import dataclass

from jobcron.reports.oops import message_of, traceback_of
from jobcron.settings.secrets import Redactor, cut, storable

MAX_LINE = 2_000
"""The longest message, in characters."""

MAX_TRACEBACK = 20_000
"""The longest traceback, in characters."""


@dataclass(frozen=True)
class ErrorText:
    """The text of an error for logs, rows and events.

    Attributes:
        kind: the name of the error's class.
        line: the error's message, on one line.
        traceback: its traceback, with its causes.
    """

    kind: str
    line: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException, redactor: Redactor) -> ErrorText:
        """Return the text of an error, even if its ``__str__`` raises.

        Args:
            error: any error.
            redactor: hides secrets.
        """
        line = " ".join(redactor.text(message_of(error)).split())
        traceback = redactor.text(traceback_of(error))
        return cls(type(error).__name__, cut(storable(line), MAX_LINE), cut(storable(traceback), MAX_TRACEBACK))

    def __str__(self) -> str:
        """Return kind and message in one line."""
        return f"{self.kind}: {self.line}" if self.line else self.kind
