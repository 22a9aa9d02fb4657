"""The results, as text for people, as Markdown for the documentation, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.figures import FIGURES, shown
from bench.race import Result

CHARTS = """\
![Jobs run in a second by jobcron, by a bare driver, and by other queues](pictures/bench-running.svg)

![Jobs created in a second by jobcron, by a bare driver, and by other queues](pictures/bench-creating.svg)

A bar ends at the median of the rounds; the line in it goes from the least value to the greatest. The figures:\
"""
"""The charts that are drawn from the results, as the page of the documentation shows them."""

RATIO_HEADINGS = ["bar", "work", "database", "jobcron", "beside it", "jobcron / other", "wanted", "verdict"]


class Report(NamedTuple):
    """All that a run of the benchmarks found.

    Attributes:
        machine: what it was measured with, see `bench.machine`.
        options: how: rounds, jobs.
        results: of the races.
    """

    machine: dict[str, str]
    options: dict[str, int]
    results: list[Result]


def ratio_rows(report: Report) -> list[list[str]]:
    """Return the lines of the table of ratios: one for each bar."""
    rows = []
    for result in report.results:
        race = result.race
        for bar in race.bars:
            found = bar.judge(result)
            compared = [found.ours, found.theirs, found.ratio, found.bar, found.verdict]
            rows.append([race.id, race.work, race.database, *compared])
    return rows


def figure_tables(report: Report) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return for each race a title, headings, and a row for each contender: medians (least to most)."""
    tables = []
    for result in report.results:
        measured = [name for name in FIGURES if any(name in found for found in result.rounds.values())]
        rows = [
            [contender, *(_cell(name, found.get(name)) for name in measured)]
            for contender, found in result.rounds.items()
        ]
        title = f"{result.race.id}: {result.race.work}, {result.race.database}"
        tables.append((title, ["", *(FIGURES[name].heading for name in measured)], rows))
    return tables


def failures(report: Report) -> list[str]:
    """Return for each peer that did not finish a race which one, and the first line of why."""
    return [
        f"{result.race.id}, {result.race.database}: {name}: {why.splitlines()[0]}"
        for result in report.results
        for name, why in result.failures.items()
    ]


def as_text(report: Report) -> str:
    """Return the table of ratios for a terminal."""
    rows = [RATIO_HEADINGS, *ratio_rows(report)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = ["  ".join(row).rstrip() for row in padded]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *(f"did not finish: {line}" for line in failures(report))])


def as_markdown(report: Report) -> str:
    """Return everything as Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items() if name != "date")
    how = ", ".join(f"{name} {value:,}" for name, value in report.options.items())
    parts = [
        f"Measured on {report.machine['date']}: {machine}. {how}.",
        _markdown_table(RATIO_HEADINGS, ratio_rows(report)),
        "Medians of the rounds, least and most in brackets; what is not per second is for one job or one tick.",
    ]
    for title, headings, rows in figure_tables(report):
        parts += [f"**{title}**", _markdown_table(headings, rows)]
    if unfinished := failures(report):
        parts += ["**Did not finish**", "\n".join(f"- {line}" for line in unfinished)]
    return "\n\n".join(parts) + "\n"


def as_json(report: Report) -> str:
    """Return everything as JSON: what the charts of the documentation are drawn from."""
    races = [
        {
            "id": result.race.id,
            "work": result.race.work,
            "database": result.race.database,
            "contenders": result.rounds,
            "failures": result.failures,
            "bars": [bar.judge(result)._asdict() for bar in result.race.bars],
        }
        for result in report.results
    ]
    content = {"machine": report.machine, "options": report.options, "races": races}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``results.json`` and ``results.md``, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "results.json", folder / "results.md"]
    paths[0].write_text(as_json(report))
    paths[1].write_text(as_markdown(report))
    return paths


def _cell(name: str, values: list[float] | None) -> str:
    if not values:
        return ""
    middle = shown(name, median(values))
    least, most = shown(name, min(values)), shown(name, max(values))
    return middle if least == most else f"{middle} ({least}–{most})"


def _markdown_table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
