"""Draw how many jobs in a second jobcron and others run and create: from the results of ``make bench``."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import TypedDict

from drawing import Picture

RESULTS = Path(__file__).parent.parent / "bench/results.json"

WIDTH, LEFT, RIGHT = 760, 270.0, 640.0
ROW, HEAD = 24.0, 46.0

Rounds = dict[str, dict[str, list[float]]]
"""By contender and figure, the values of all rounds."""


class Race(TypedDict):
    """A race, as far as it is drawn."""

    id: str
    work: str
    database: str
    contenders: Rounds


def running() -> Picture:
    """Return the chart of the races in which jobs are run."""
    return _chart("Jobs run in a second", ("P1", "P2", "P3", "P4"))


def creating() -> Picture:
    """Return the chart of the races in which jobs are created."""
    return _chart("Jobs created in a second", ("P5", "P6"))


def _chart(title: str, bars: tuple[str, ...]) -> Picture:
    races: list[Race] = json.loads(RESULTS.read_text(encoding="utf-8"))["races"]
    shown = [(race, _rates(race)) for race in races if race["id"] in bars]
    height = 16 + sum(HEAD + ROW * len(rates) for _, rates in shown)
    told = " ".join(
        f"{_words(race)}: {', '.join(f'{name} {median(values):,.0f}' for name, values in rates)}."
        for race, rates in shown
    )
    picture = Picture(WIDTH, int(height), title, f"{title}. {told}")
    top = 8.0
    for race, rates in shown:
        picture.text((18, top + 26), _words(race), "head")
        _draw_rates(picture, top + HEAD, rates)
        top += HEAD + ROW * len(rates)
    return picture


def _rates(race: Race) -> list[tuple[str, list[float]]]:
    """Return the contenders with their rates, jobcron first, and then the quickest first."""
    (ours, *others) = ((name, found["per_second"]) for name, found in race["contenders"].items())
    return [ours, *sorted(others, key=lambda other: -median(other[1]))]


def _words(race: Race) -> str:
    return f"{race['id']}, {race['database']}: {race['work']}"


def _draw_rates(picture: Picture, top: float, rates: list[tuple[str, list[float]]]) -> None:
    """Draw a bar for each contender: it ends at the median, a line goes from the least value to the greatest."""
    most = max(max(values) for _, values in rates)
    for number, (name, values) in enumerate(rates):
        y = top + ROW * number
        picture.text((LEFT - 10, y + 13), name, "small" if number else "name", "end")
        per_job = (RIGHT - LEFT) / most
        length = max(2.0, per_job * median(values))
        picture.box((LEFT, y + 1), (length, ROW - 8), kind="plain" if number else "blue")
        least, greatest = (LEFT + per_job * value for value in (min(values), max(values)))
        if greatest - least >= 1:
            picture.arrow((least, y + ROW / 2 - 3), (greatest, y + ROW / 2 - 3), has_tip=False)
        picture.text((max(LEFT + length, greatest) + 8, y + 13), f"{median(values):,.0f}", "small")
