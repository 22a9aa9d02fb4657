"""Helpers that write the generated parts of the reference as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Incomplete(Exception):
    """The code has something that the reference does not explain, or the other way round."""


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def same(what: str, found: set[Any], explained: set[Any]) -> None:
    """Check that all that was found is explained, and nothing else.

    Raises:
        Incomplete: it is not so.
    """
    if found != explained:
        raise Incomplete(
            f"{what}: not explained in {__file__}: {sorted(map(str, found - explained))}; "
            f"explained there, but not in the code: {sorted(map(str, explained - found))}"
        )


def without_ids(text: str) -> str:
    """Return a docstring without the ids of features and the names of design documents."""
    text = re.sub(r" \((?:LP-\d+(?:, | to )?)+\)", "", text)
    return re.sub(r" \(design\.md[^)]*\)", "", text)


def plain(docstring: str | None) -> str:
    """Return a docstring as Markdown in one line."""
    return without_ids(" ".join((docstring or "").split())).replace("``", "`")


def subclasses(of: type[T]) -> Iterator[type[T]]:
    """Iterate over all classes below one, in the order of the source."""
    for found in of.__subclasses__():
        yield found
        yield from subclasses(found)
