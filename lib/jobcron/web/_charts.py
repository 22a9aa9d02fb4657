"""Charts as SVG, made on the server; the numbers behind each are a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta

from jobcron.operations.processes.trends import Part, Trends
from jobcron.operations.sections import RunState

WIDTH, HEIGHT = 320.0, 96.0
"""The inner size of a chart; it is stretched to the room that it has."""

GAP = 1.5


@dataclass(frozen=True)
class Window:
    """A span of time that charts show.

    Attributes:
        name: in addresses.
        title: in words.
        length: how long it is.
        count: into how many parts it is divided.
        label: the format of the time of a part.
    """

    name: str
    title: str
    length: timedelta
    count: int
    label: str

    @property
    def step(self) -> timedelta:
        """How long a part is."""
        return self.length / self.count


WINDOWS = {
    window.name: window
    for window in (
        Window("hour", "Last hour", timedelta(hours=1), 30, "%H:%M"),
        Window("day", "Last day", timedelta(days=1), 48, "%H:%M"),
        Window("week", "Last week", timedelta(days=7), 42, "%a %H:%M"),
    )
}


@dataclass(frozen=True)
class Bar:
    """A bar of a chart, and a row of its table.

    Attributes:
        x, width: its place.
        parts: of each series, from the bottom up: where it begins, how high it is, and its place among the series.
        label: the time of its part.
        values: the numbers, as text.
    """

    x: float
    width: float
    parts: tuple[tuple[float, float, int], ...]
    label: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: what it shows.
        series: the names of what is stacked.
        bars: the bars, the oldest first.
        top: the greatest value, as text.
        total: the sum or the mean, in words.
        is_empty: whether there is nothing to show.
        tones: the colours of the series, by their names in the style sheet.
    """

    title: str
    series: tuple[str, ...]
    bars: tuple[Bar, ...]
    top: str
    total: str
    is_empty: bool
    tones: tuple[str, ...]

    width: float = WIDTH
    height: float = HEIGHT


def charts(window: Window, found: Trends) -> tuple[Chart, ...]:
    """Return the charts of what became of jobs in a window: jobs, waiting time, run time, failures."""
    parts = found.parts
    labels = [f"{part.start.astimezone(UTC):{window.label}}" for part in parts]
    jobs = [(float(part.completed), float(part.incomplete)) for part in parts]
    waited = [(_mean([part], "waited") or 0.0,) for part in parts]
    ran = [(_mean([part], "ran") or 0.0,) for part in parts]
    failures = [tuple(map(float, part.failures)) for part in parts]
    return (
        _chart("Jobs", {"completed": "good", "not completed": "bad"}, labels, jobs, _sum(jobs)),
        _chart("Seconds until a job began", {"seconds": "waiting"}, labels, waited, _average(parts, "waited")),
        _chart("Seconds a job took", {"seconds": "busy"}, labels, ran, _average(parts, "ran")),
        _chart(
            "Failed attempts",
            {"failed": "bad", "users' errors": "aside", "retried": "waiting"},
            labels,
            failures,
            f"{_sum(failures)}, {_reports(parts)}",
        ),
    )


def _mean(parts: Sequence[Part], name: str) -> float | None:
    """Return the mean of a time over the jobs of some parts; None: it is known of none."""
    jobs = sum(part.timed for part in parts)
    total: float = sum(getattr(part, name) for part in parts)
    return total / jobs if jobs else None


def _average(parts: Sequence[Part], name: str) -> str:
    mean = _mean(parts, name)
    return "none" if mean is None else f"{mean:,.2f} s on average"


def _reports(parts: Sequence[Part]) -> str:
    count = sum(part.oopses for part in parts)
    return f"{count:,} report{'s' if count != 1 else ''}"  # with commas, as the figures beside it


def _sum(values: Sequence[Sequence[float]]) -> str:
    return f"{sum(map(sum, values)):,.0f} in all"


def _chart(
    title: str, series: dict[str, str], labels: Sequence[str], values: Sequence[Sequence[float]], total: str
) -> Chart:
    """Return a chart.

    Args:
        title: what it shows.
        series: the names of what is stacked, with their colours.
        labels: the times of the parts.
        values: the numbers of each part, one for each series.
        total: the sum or the mean, in words.
    """
    top = max((sum(part) for part in values), default=0.0)
    step = WIDTH / max(len(values), 1)
    bars = []
    for place, (label, part) in enumerate(zip(labels, values, strict=True)):
        stacked, y = [], HEIGHT
        for number, value in enumerate(part):
            height = 0.0 if not value else max(HEIGHT * value / top, 1.5)
            y -= height
            if height:
                stacked.append((round(y, 2), round(height, 2), number))
        told = tuple(_told(value) for value in part)
        bars.append(Bar(round(place * step, 2), round(step - GAP, 2), tuple(stacked), label, told))
    return Chart(title, tuple(series), tuple(bars), _told(top), total, not top, tuple(series.values()))


def _told(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def spark(runs: Sequence[RunState]) -> tuple[tuple[float, float, str], ...]:
    """Return small bars for the newest runs, the oldest first: place, height from 0 to 1, and kind."""
    counts = [run.completed + run.incomplete for run in reversed(runs)]
    top = max(counts, default=0) or 1
    kinds = ["bad" if run.oopses or run.incomplete else "good" for run in reversed(runs)]
    bars = enumerate(zip(counts, kinds, strict=True))
    return tuple((float(place), max(count / top, 0.06), kind) for place, (count, kind) in bars)
