"""Measure what grows: claims and ticks (P8), many sections (P9) and memory (P10): ``make bench-scale``.

The figures are ratios and shares, so that those of different machines can be compared. A bar that is missed is
shown as missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.docs import write_docs
from bench.machine import describe
from bench.scale_line import Line, lines
from bench.scale_memory import memory
from bench.scale_sections import sections
from jobcron.testing.programs import find_programs

HEADINGS = ("| bar | what | figures | measured | wanted | verdict |", "| --- | --- | --- | --- | --- | --- |")

MEASURES = {"P8": lines, "P9": sections, "P10": memory}


def measured(names: list[str], rows: int, jobs: int) -> Iterator[Line]:
    """Measure, and yield the lines of the table as they are known.

    Args:
        names: what to measure.
        rows: how many rows stand in the way of claims.
        jobs: how many jobs a process runs whose memory is looked at.
    """
    for name in names:
        with tempfile.TemporaryDirectory(prefix="jobcron-scale-") as folder:
            yield from MEASURES[name](Path(folder), jobs if name == "P10" else rows)


def _postgresql_version() -> str:
    told = subprocess.run(
        [find_programs() / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return told.split()[2]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table, and return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default=",".join(MEASURES), help="such as P8,P9")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in the way of claims")
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs that a process runs for P10")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args(arguments)
    names = options.only.split(",")
    if unknown := {*names} - {*MEASURES}:
        parser.error(f"expected some of {', '.join(MEASURES)}, got: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="jobcron-scale-") as folder:
        machine = describe(Path(folder), _postgresql_version())
    how = f"Measured on {machine.pop('date')}: {', '.join(f'{name} {value}' for name, value in machine.items())}. "
    how += f"rows {options.rows:,}, jobs {options.jobs:,}."
    shown = [how, "", *HEADINGS]
    print(*shown, sep="\n", flush=True)
    are_met = True
    for line in measured(names, options.rows, options.jobs):
        print(line, flush=True)
        shown.append(str(line))
        are_met = are_met and line.is_met
    if options.write_docs:
        write_docs("\n".join([*shown, ""]), mark="scale")
    return 0 if are_met else 1


if __name__ == "__main__":
    sys.exit(main())
