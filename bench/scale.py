"""Measure what grows: claims and ticks (P8), many sections (P9) and memory (P10): ``make bench-scale``.

The figures are ratios and shares, so that those of different machines can be compared. A bar that is missed is
shown as missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.machine import describe
from bench.scale_line import Line, lines
from bench.scale_memory import memory
from bench.scale_sections import sections

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


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table, and return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default=",".join(MEASURES), help="such as P8,P9")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in the way of claims")
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs that a process runs for P10")
    options = parser.parse_args(arguments)
    names = options.only.split(",")
    if unknown := {*names} - {*MEASURES}:
        parser.error(f"expected some of {', '.join(MEASURES)}, got: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="jobcron-scale-") as folder:
        machine = describe(Path(folder), None)
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"rows {options.rows:,}, jobs {options.jobs:,}\n")
    print("| bar | what | figures | measured | wanted | verdict |\n| --- | --- | --- | --- | --- | --- |")
    are_met = True
    for line in measured(names, options.rows, options.jobs):
        print(line, flush=True)
        are_met = are_met and line.is_met
    return 0 if are_met else 1


if __name__ == "__main__":
    sys.exit(main())
