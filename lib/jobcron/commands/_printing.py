"""Print tables, texts and JSON, with what jobs say made harmless."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from uuid import UUID

from jobcron.commands._output import say
from jobcron.operations.listing import Count
from jobcron.reports.logs import visible
from jobcron.settings.secrets import redactor

SHORT = 60
"""The most characters of a column but the last on a terminal."""

STYLES = {
    "FAILED": "red",
    "CRITICAL": "bold red",
    "WARNING": "yellow",
    "UNKNOWN": "magenta",
    "OK": "green",
    "COMPLETED": "green",
    "RUNNING": "cyan",
    "SUSPENDED": "yellow",
    "fail": "red",
    "take over": "yellow",
    "pass over": "yellow",
}
"""The colours of cells that are one of these words."""

NAMES = 12
"""The width of the names of values."""


def say_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: in columns on a terminal, else the cells of a row separated by tabs.

    With rich there are colours, unless NO_COLOR is set or the terminal has none.

    Args:
        heads: the heads of the columns.
        rows: the values.
    """
    cells = [list(heads), *([cell(value) for value in row] for row in rows)]
    if not sys.stdout.isatty():
        say("\n".join("\t".join(row) for row in cells))
        return
    for row in cells:
        row[:-1] = [text if len(text) <= SHORT else f"{text[: SHORT - 1]}…" for text in row[:-1]]
    try:
        say(_coloured(cells))
    except ImportError:
        say(_plain(cells))


def _coloured(cells: list[list[str]]) -> str:
    """Return a table by rich: with colours, and in columns also where characters are two places wide.

    Raises:
        ImportError: rich is not installed; it comes with the extra ``cli``.
    """
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.text import Text

    console = Console(width=_terminal_width(), highlight=False)
    widths = [max(cell_len(row[place]) for row in cells) for place in range(len(cells[0]))]
    with console.capture() as captured:
        for number, row in enumerate(cells):
            line = Text()  # which has no markup
            for text, size in zip(row, widths, strict=True):
                line.append(set_cell_size(text, size), "bold" if number == 0 else STYLES.get(text, "")).append(
                    "  "
                )
            line.rstrip()
            console.print(line, no_wrap=True, overflow="ellipsis")
    return captured.get().rstrip("\n")


def _plain(cells: list[list[str]]) -> str:
    width = _terminal_width()
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    lines = ("  ".join(text.ljust(size) for text, size in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(line if len(line) <= width else f"{line[: width - 1]}…" for line in lines)


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80


def say_values(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line; values that are not there are left out."""
    shown = [(name, value) for name, value in pairs if value is not None]
    lines = (
        f"{name:<{NAMES}} {cell(value)}{' UTC' if isinstance(value, datetime) else ''}" for name, value in shown
    )
    say("\n".join(lines))


def say_text(text: str) -> None:
    """Print a text of a job that may have several lines."""
    say(visible(redactor().text(text)))


def say_json(value: object) -> None:
    """Print a value as one JSON document."""
    say(json.dumps(plain(value), indent=2, ensure_ascii=True))


def cell(value: object) -> str:
    """Return a value as one line: harmless for a terminal, without secrets."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        case StrEnum():
            return value.value
        case Enum():
            return value.name
        case tuple() | list():
            return " ".join(map(cell, value)) or "-"
        case _:
            text = redactor().text(str(value))
            return (
                visible(" ".join(text.split())) if any(c.isspace() and c != " " for c in text) else visible(text)
            )


def plain(value: object) -> object:
    """Return a value of `jobcron.operations` as JSON has it; docs/reference/commands.md describes the shape."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case timedelta():
            return value.total_seconds()
        case Count():
            return {"number": value.number, "is_exact": value.is_exact}
        case StrEnum():
            return value.value
        case Enum():
            return value.name
        case UUID():
            return str(value)
        case str():
            return redactor().text(value)
        case tuple() | list():
            return [plain(item) for item in value]
        case dict():
            return {str(key): redactor().named(key, plain(item)) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return fields_of(value)
    return value


def fields_of(value: object) -> dict[str, object]:
    """Return the fields of a frozen value as JSON has them."""
    assert dataclasses.is_dataclass(value)
    return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
