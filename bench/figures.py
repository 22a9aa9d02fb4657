"""The figures that are measured: what they are called, and how they are shown."""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """A kind of figure.

    Attributes:
        heading: of its column, with the unit.
        decimals: how many are shown.
    """

    heading: str
    decimals: int


FIGURES: dict[str, Figure] = {
    "per_second": Figure("jobs/s", 0),
    "wall_ms": Figure("wall, ms", 1),
    "cpu_ms": Figure("own CPU, ms", 3),
    "server_cpu_ms": Figure("server CPU, ms", 3),
    "max_rss_mib": Figure("memory, MiB", 1),
    "round_trips": Figure("round trips", 2),
    "statements": Figure("statements", 2),
    "commits": Figure("transactions", 2),
    "wal_bytes": Figure("WAL, bytes", 0),
    "dead_rows": Figure("dead rows", 2),
    "p50_ms": Figure("median wait, ms", 0),
    "p99_ms": Figure("p99 of the wait, ms", 0),
    "file_changes": Figure("changes of the file", 0),
}


def shown(name: str, value: float) -> str:
    """Return a figure as it is printed, without its unit."""
    return f"{value:,.{FIGURES[name].decimals}f}"
