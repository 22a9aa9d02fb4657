"""Standard error, for what a command has to say before anything else is imported, and what may be shown there."""

from __future__ import annotations

import io
import os
import sys

_HIDDEN = (
    *range(0x20),  # control characters: a terminal obeys them
    *range(0x7F, 0xA0),
    0x00AD,  # marks, separators and the like: invisible, but they change how the text looks
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xE0000, 0xE0080),
)
_ESCAPES = {
    c: f"\\x{c:02x}" if c < 0x100 else f"\\u{c:04x}" if c < 0x10000 else f"\\U{c:08x}"
    for c in _HIDDEN
    if chr(c) not in "\n\t"
}


def visible(text: str) -> str:
    """Return `text` with invisible characters, and those that control a terminal, as escapes."""
    return text.translate(_ESCAPES)


def complain(text: str) -> None:
    """Write a text to standard error, without secrets, if standard error still accepts it."""
    if sys.stderr is None:  # closed by the parent process: print() would use standard output instead
        return
    from jobcron.settings.secrets import redactor

    try:
        print(visible(redactor().text(text)), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # ValueError: it was closed
        give_up_standard_error()


def give_up_standard_error() -> None:
    """Discard all further output: unwritten output would change the exit status."""
    sys.stderr = Discarded(open(os.devnull, "wb"), encoding="utf-8")  # noqa: SIM115


class Discarded(io.TextIOWrapper):
    """What takes the place of a standard error that accepts nothing more, for the rest of the process."""
