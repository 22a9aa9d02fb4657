"""Draw how the rate of many runners grows, and where it bends: from the results of ``bench/scale_model.py``."""

from __future__ import annotations

import json
import math
from pathlib import Path

from drawing import Picture, Point

RESULTS = Path(__file__).parent.parent / "bench/scale_results.json"

LEFT, RIGHT, TOP, BOTTOM = 80.0, 540.0, 40.0, 330.0
MOST_RUNNERS, LEAST_RATE, MOST_RATE = 1000.0, 1.0, 100_000.0

KINDS = {"0": "does nothing", "10": "works for 10 ms", "100": "works for 100 ms", "1000": "works for 1 s"}


def scale() -> Picture:
    """Return the chart: jobs in a second by the number of runners, both by powers of ten."""
    results: dict[str, dict[str, float]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    found = {work: results[work] for work in KINDS}
    told = "; ".join(
        f"a job that {KINDS[work]}: {rates['1']:,.0f} with 1 runner, {rates['1000']:,.0f} with 1,000"
        for work, rates in found.items()
    )
    picture = Picture(
        760, 390, "Jobs in a second by the number of runners", f"In a model, jobs in a second. {told}."
    )
    for power in range(6):
        rate = 10.0**power
        picture.arrow(_at(1, rate), _at(MOST_RUNNERS, rate), kind="dashed", has_tip=False)
        picture.text((LEFT - 8, _at(1, rate)[1] + 4), f"{rate:,.0f}", "small", "end")
    for runners in (1, 10, 100, 1000):
        picture.text((_at(runners, 1)[0], BOTTOM + 20), f"{runners:,}", "small", "middle")
    picture.text((LEFT, TOP - 16), "jobs in a second", "small")
    picture.text(((LEFT + RIGHT) / 2, BOTTOM + 42), "runners", "small", "middle")
    heights: list[float] = []
    for work, rates in found.items():
        line = [_at(float(runners), rate) for runners, rate in rates.items()]
        for start, end in zip(line, line[1:], strict=False):
            picture.arrow(start, end, has_tip=False)
        for x, y in line:
            picture.box((x - 3, y - 3), (6, 6), kind="blue")
        height = line[-1][1]
        while any(abs(height - other) < 17 for other in heights):
            height += 17
        heights.append(height)
        picture.text((RIGHT + 14, height + 4), f"a job that {KINDS[work]}", "small")
    return picture


def _at(runners: float, rate: float) -> Point:
    across = math.log10(runners) / math.log10(MOST_RUNNERS)
    up = math.log10(max(rate, LEAST_RATE) / LEAST_RATE) / math.log10(MOST_RATE / LEAST_RATE)
    return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)
