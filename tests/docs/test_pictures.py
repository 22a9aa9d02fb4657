"""The pictures of the documentation are what their sources make, and show all that there is."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from jobcron.interfaces import JobStatus
from jobcron.jobs.status import MOVES
from paths import ROOT

DOCS = ROOT / "docs"
FOLDER = DOCS / "pictures"
NAMES = sorted(path.stem for path in FOLDER.glob("*"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module that generates the pictures."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("generate_pictures")


@pytest.fixture
def explained(pictures: ModuleType) -> ModuleType:
    """Return the module that explains the moves."""
    return importlib.import_module("generate_moves")


def test_every_picture_is_what_its_source_makes(pictures: ModuleType) -> None:
    made = {f"{name}.svg": make().svg() for name, make in pictures.PICTURES.items()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert kept == made, "run: python docs/generate_pictures.py"


def test_the_pictures_show_every_move_of_a_status(pictures: ModuleType, explained: ModuleType) -> None:
    by_hand = {(old, new) for (_, new), olds in explained.by_hand().items() for old in olds}
    never = {move for move, cause in explained.CAUSES.items() if cause == explained.UNSEEN}
    shown = set(pictures.ARROWS) | by_hand | never
    assert shown == {(old, new) for old, several in MOVES.items() for new in several} | {
        (JobStatus.RUNNING, JobStatus.RUNNING)
    }


def test_a_move_without_an_arrow_is_found_out(
    pictures: ModuleType, explained: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(explained.CAUSES, (JobStatus.FAILED, JobStatus.RUNNING), "it was made up")
    with pytest.raises(Exception, match=r"arrows: not explained .*FAILED.*RUNNING"):
        pictures.life()


def test_a_room_without_a_subject_is_found_out(pictures: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(pictures.SUBJECTS, "steps")
    with pytest.raises(Exception, match=r"rooms: not explained .*steps"):
        pictures.rooms()


def test_the_charts_show_everybody_who_was_measured(
    pictures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, floor, peer = ({"per_second": rates} for rates in ([810.0, 790.0, 800.0], [1234.0], [7.0, 9.0]))
    contenders = {"jobcron run": ours, "another queue": peer, "a bare driver": floor}
    race = {"work": "run", "database": "PostgreSQL", "contenders": contenders}
    races = [{"id": "P1", **race}, {"id": "P5", **race}]
    (tmp_path / "results.json").write_text(json.dumps({"races": races}))
    monkeypatch.setattr("generate_bench.RESULTS", tmp_path / "results.json")
    for make, title in ((pictures.running, "P1, PostgreSQL: run"), (pictures.creating, "P5, PostgreSQL: run")):
        drawing = ElementTree.fromstring(make().svg())
        words = [text.text for text in drawing.iter(f"{SVG}text")]
        assert words == [title, "jobcron run", "800", "a bare driver", "1,234", "another queue", "8"]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_words_for_those_who_do_not_see_it(name: str) -> None:
    drawing = ElementTree.parse(FOLDER / f"{name}.svg").getroot()
    told = [drawing.findtext(f"{SVG}{part}") for part in ("title", "desc")]
    assert all(told), f"expected a title and a description, found {told}"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_colours_for_light_and_for_dark(name: str) -> None:
    text = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    used = set(re.findall(r'<rect class="(?:box )?([\w-]+)"', text))
    assert used
    for colour in used:
        assert f".{colour} {{" in light, colour
        assert f".{colour} {{" in dark, colour


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_inside_the_picture(name: str) -> None:
    drawing = ElementTree.parse(FOLDER / f"{name}.svg").getroot()
    width, height = (float(drawing.attrib[side]) for side in ("width", "height"))
    for text in drawing.iter(f"{SVG}text"):
        long = 7.2 * len(text.text or "")
        anchor = text.get("text-anchor", "start")
        left = float(text.attrib["x"]) - {"start": 0.0, "middle": long / 2, "end": long}[anchor]
        assert 0 <= left <= width - long, f"{text.text} leaves the picture"
        assert float(text.attrib["y"]) <= height - 4, f"{text.text} leaves the picture"
    for box in drawing.iter(f"{SVG}rect"):
        x, y, across, down = (float(box.get(side, "0")) for side in ("x", "y", "width", "height"))
        assert 0 <= x <= width - across, f"a box at {x}, {y} leaves the picture"
        assert 0 <= y <= height - down, f"a box at {x}, {y} leaves the picture"


def test_every_picture_is_on_a_page_with_words_in_its_place() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    shown = re.findall(r"!\[([^\]]*)\]\([./]*pictures/([\w-]+)\.svg\)", pages)
    assert {name for _, name in shown} == set(NAMES)
    assert all(words for words, _ in shown)
