"""What the documentation names is there: paths, dotted names, terms of the glossary."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HISTORY = ROOT / "docs/decisions.md"
"""Entries there name what was there on their day."""

PAGES = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")) if path != HISTORY
)
IDS = [str(path.relative_to(ROOT)) for path in PAGES]

FOLDERS = "bench|configs|cronscripts|docs|examples|lib|schema|tests|tools"
PATH = re.compile(rf"`((?:{FOLDERS})/[^`\s]*)`")
DOTTED_NAME = re.compile(r"(?<![\w./-])jobcron(?:\.\w+)+")
TERM = re.compile(r"glossary\.md#([\w-]+)")


def resolve(name: str) -> object:
    """Return what a dotted name stands for.

    Raises:
        AttributeError: the module has no such name.
    """
    found: object = importlib.import_module("jobcron")
    imported = "jobcron"
    for part in name.split(".")[1:]:
        imported = f"{imported}.{part}"
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(imported)
            except ModuleNotFoundError:
                raise AttributeError(f"there is no {imported}") from None
    return found


def anchors() -> list[str]:
    """Return the terms of the glossary as links name them, in its order."""
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    return [heading.lower().replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    for name in PATH.findall(page.read_text()):
        if "ROOM/" in name:  # any room
            continue
        assert list(ROOT.glob(name.rstrip("/"))), f"{name} is not there"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_dotted_name_that_a_page_names_is_there_and_public(page: Path) -> None:
    for name in DOTTED_NAME.findall(page.read_text()):
        if name != "jobcron.conf":
            resolve(name)
            assert "._" not in name, f"{name} is private"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_term_that_a_page_links_is_in_the_glossary(page: Path) -> None:
    assert set(TERM.findall(page.read_text())) <= set(anchors())


def test_the_glossary_is_in_the_order_of_the_alphabet() -> None:
    assert anchors() == sorted(anchors())


@pytest.mark.parametrize("name", ["jobcron.operate", "jobcron.scripts.nothing", "jobcron.queue.claim.nothing"])
def test_a_name_that_is_not_there_is_found_out(name: str) -> None:
    with pytest.raises(AttributeError):
        resolve(name)


def test_the_readme_has_a_row_for_each_room() -> None:
    rooms = {path.parent.name for path in ROOT.glob("lib/jobcron/*/__init__.py")}
    for page in (ROOT / "README.md", ROOT / "docs/explanation/rooms.md"):
        named = re.findall(r"^\|.*`lib/jobcron/(\w+)/`", page.read_text(), re.MULTILINE)
        assert set(named) == rooms, page
