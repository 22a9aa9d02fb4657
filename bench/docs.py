"""The page of the documentation that shows the last results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench import TOP

PAGE = TOP / "docs/performance.md"

RESULTS = TOP / "bench/results.json"
"""What the charts of the page are drawn from."""


class PageHasNoPlace(RuntimeError):
    """The page lacks the marks between which the results belong."""


def write_docs(results: str, page: Path = PAGE, mark: str = "results") -> None:
    """Replace the results of the page.

    Args:
        results: as Markdown.
        page: the page's path.
        mark: the word of the comments that they stand between.

    Raises:
        PageHasNoPlace: it has no such marks.
    """
    text = page.read_text()
    opening, closing = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, begin, rest = text.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise PageHasNoPlace(f"expected {page.name} to have the lines {opening} and {closing}, one is missing")
    page.write_text(f"{before}{opening}\n\n{results}\n{closing}{after}")


def write_charts(results: str) -> None:
    """Keep the results, and draw the charts of the page.

    Args:
        results: as JSON.
    """
    RESULTS.write_text(results)
    subprocess.run([sys.executable, TOP / "docs/generate_pictures.py"], check=True)
