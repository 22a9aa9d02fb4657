"""Charts as SVG, made on the server; the numbers behind each are a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from jobcron.operations.sections import RunState, recent_runs

CHUNK = 2_000
"""How many runs are read at once."""

MOST = 20_000
"""The most runs that a chart is made of; older ones are left out, and that is said."""

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
    """

    title: str
    series: tuple[str, ...]
    bars: tuple[Bar, ...]
    top: str
    total: str
    is_empty: bool

    width: float = WIDTH
    height: float = HEIGHT


@dataclass(frozen=True)
class Trends:
    """What became of jobs in a window of time.

    Attributes:
        window: the window.
        charts: jobs, seconds a job, and reports.
        runs: how many runs they are made of.
        is_complete: whether these are all runs of the window.
    """

    window: Window
    charts: tuple[Chart, ...]
    runs: int
    is_complete: bool


def trends(connection: Connection, window: Window, now: datetime, section: str | None = None) -> Trends:
    """Return the charts of the runs in a window, of all sections or of one."""
    first = now - window.length
    found, is_complete = _runs_since(connection, first, section)
    parts: list[list[RunState]] = [[] for _ in range(window.count)]
    for run in found:
        place = int((run.date_completed - first) / window.step)
        parts[min(max(place, 0), window.count - 1)].append(run)
    labels = [f"{(first + window.step * place).astimezone(UTC):{window.label}}" for place in range(window.count)]
    charts = (
        _chart("Jobs", ("completed", "not completed"), labels, [_jobs(part) for part in parts], _sum),
        _chart("Seconds a job", ("seconds",), labels, [_seconds(part) for part in parts], _mean(found)),
        _chart("Reports", ("reports",), labels, [(float(sum(r.oopses for r in part)),) for part in parts], _sum),
    )
    return Trends(window, charts, len(found), is_complete)


def _runs_since(connection: Connection, first: datetime, section: str | None) -> tuple[list[RunState], bool]:
    """Return the runs that ended since then, `MOST` at most, and whether these are all."""
    found: list[RunState] = []
    below: int | None = None
    while len(found) < MOST:
        chunk = recent_runs(connection, section, below=below, limit=CHUNK)
        recent = [run for run in chunk if run.date_completed >= first]
        found += recent
        if len(chunk) < CHUNK or not recent:
            return found, True
        below = min(run.id for run in chunk)
    return found, False


def _jobs(runs: Iterable[RunState]) -> tuple[float, ...]:
    done = [(run.completed, run.incomplete) for run in runs]
    return float(sum(one for one, _ in done)), float(sum(other for _, other in done))


def _seconds(runs: Sequence[RunState]) -> tuple[float, ...]:
    jobs = sum(run.completed + run.incomplete for run in runs)
    took = sum((run.date_completed - run.date_started).total_seconds() for run in runs if _ran(run))
    return (took / jobs if jobs else 0.0,)


def _ran(run: RunState) -> bool:
    return run.completed + run.incomplete > 0


Total = Callable[[Sequence[Sequence[float]]], str]


def _sum(values: Sequence[Sequence[float]]) -> str:
    return f"{sum(map(sum, values)):,.0f} in all"


def _mean(runs: Sequence[RunState]) -> Total:
    return lambda values: f"{_seconds(runs)[0]:.2f} s on average"


def _chart(
    title: str, series: tuple[str, ...], labels: Sequence[str], values: Sequence[Sequence[float]], total: Total
) -> Chart:
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
    return Chart(title, series, tuple(bars), _told(top), total(values), not top)


def _told(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def spark(runs: Sequence[RunState]) -> tuple[tuple[float, float, str], ...]:
    """Return small bars for the newest runs, the oldest first: place, height from 0 to 1, and kind."""
    counts = [run.completed + run.incomplete for run in reversed(runs)]
    top = max(counts, default=0) or 1
    kinds = ["bad" if run.oopses or run.incomplete else "good" for run in reversed(runs)]
    bars = enumerate(zip(counts, kinds, strict=True))
    return tuple((float(place), max(count / top, 0.06), kind) for place, (count, kind) in bars)
