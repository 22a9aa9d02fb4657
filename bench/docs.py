"""The page of the documentation that shows the last results."""

from __future__ import annotations

from pathlib import Path

from bench import TOP

PAGE = TOP / "docs/performance.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"


class PageHasNoPlace(RuntimeError):
    """The page lacks the marks between which the results belong."""


def write_docs(results: str, page: Path = PAGE) -> None:
    """Replace the results of the page.

    Args:
        results: as Markdown.
        page: the page's path.

    Raises:
        PageHasNoPlace: it has no such marks.
    """
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageHasNoPlace(f"expected {page.name} to have the lines {BEGIN} and {END}, one of them is missing")
    page.write_text(f"{before}{BEGIN}\n\n{results}\n{END}{after}")
