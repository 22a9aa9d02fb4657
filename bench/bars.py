"""The bars: what is asked of jobcron, and whether a race showed it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import NamedTuple, Protocol

from bench.figures import FIGURES, shown
from bench.race import Result


class Verdict(StrEnum):
    """Whether a bar is met."""

    MET = "met"
    MISSED = "missed"
    NO_BAR = "no bar"
    NO_PEERS = "not measured: peers"


class Finding(NamedTuple):
    """A line of the table of ratios; texts as they are shown.

    Attributes:
        ours: jobcron's median.
        theirs: whom it is compared with, and their median.
        ratio: the two compared.
        bar: what is asked.
        verdict: whether it is met.
    """

    ours: str
    theirs: str
    ratio: str
    bar: str
    verdict: Verdict


class Bar(Protocol):
    """Something that is asked of jobcron."""

    def judge(self, result: Result) -> Finding:
        """Say what the race showed."""


@dataclass(frozen=True)
class Share:
    """Ours is at least a share of another contender's.

    Attributes:
        of: the other contender's name.
        least: the share, 1.0 being all of it; None: it is shown, and nothing is asked.
        figure: what is compared.
    """

    of: str
    least: float | None
    figure: str = "per_second"

    def judge(self, result: Result) -> Finding:
        """See `Bar`."""
        ratios = result.ratios(self.figure, self.of)
        verdict = Verdict.NO_BAR
        if self.least is not None:
            verdict = Verdict.MET if median(ratios) >= self.least else Verdict.MISSED
        return Finding(
            ours=_with_unit(result, result.ours, self.figure),
            theirs=f"{self.of}: {_with_unit(result, self.of, self.figure)}",
            ratio=f"{median(ratios):.0%} ({min(ratios):.0%} to {max(ratios):.0%})",
            bar="none" if self.least is None else f"at least {self.least:.0%}",
            verdict=verdict,
        )


@dataclass(frozen=True)
class Best:
    """Ours is so many times the best of some peers that finished.

    Attributes:
        of: the peers' names.
        least: how many times; None: it is shown, and nothing is asked.
        figure: what is compared.
    """

    of: tuple[str, ...]
    least: float | None
    figure: str = "per_second"

    def judge(self, result: Result) -> Finding:
        """See `Bar`."""
        wanted = "none" if self.least is None else f"at least {self.least:g} × the best of {len(self.of)} settings"
        ours = _with_unit(result, result.ours, self.figure)
        finished = [name for name in self.of if name in result.rounds]
        if not finished:
            return Finding(ours, f"none of {', '.join(self.of)} finished", "–", wanted, Verdict.NO_PEERS)
        best = max(finished, key=lambda name: result.median(name, self.figure))
        ratios = result.ratios(self.figure, best)
        verdict = Verdict.NO_BAR
        if self.least is not None:
            verdict = Verdict.MET if median(ratios) >= self.least else Verdict.MISSED
        return Finding(
            ours=ours,
            theirs=f"{best}: {_with_unit(result, best, self.figure)}",
            ratio=f"{median(ratios):.2f} × ({min(ratios):.2f} to {max(ratios):.2f})",
            bar=wanted,
            verdict=verdict,
        )


@dataclass(frozen=True)
class Excess:
    """Ours is above another contender's by so much at most.

    Attributes:
        over: the other contender's name.
        most: by how much.
        figure: what is compared.
    """

    over: str
    most: float
    figure: str = "wall_ms"

    def judge(self, result: Result) -> Finding:
        """See `Bar`."""
        above = result.excesses(self.figure, self.over)
        unit = _unit(self.figure)
        return Finding(
            ours=_with_unit(result, result.ours, self.figure),
            theirs=f"{self.over}: {_with_unit(result, self.over, self.figure)}",
            ratio=f"{median(above):+.1f} {unit} ({min(above):+.1f} to {max(above):+.1f})",
            bar=f"at most +{self.most:g} {unit}",
            verdict=Verdict.MET if median(above) <= self.most else Verdict.MISSED,
        )


@dataclass(frozen=True)
class Multiple:
    """Ours is so many times another contender's at most.

    Attributes:
        of: the other contender's name; a peer may not have finished.
        most: how many times.
        figure: what is compared.
    """

    of: str
    most: float
    figure: str = "wall_ms"

    def judge(self, result: Result) -> Finding:
        """See `Bar`."""
        ours, wanted = _with_unit(result, result.ours, self.figure), f"at most {self.most:g} ×"
        if self.of not in result.rounds:
            return Finding(ours, f"{self.of} has not finished", "–", wanted, Verdict.NO_PEERS)
        ratios = result.ratios(self.figure, self.of)
        return Finding(
            ours=ours,
            theirs=f"{self.of}: {_with_unit(result, self.of, self.figure)}",
            ratio=f"{median(ratios):.2f} × ({min(ratios):.2f} to {max(ratios):.2f})",
            bar=wanted,
            verdict=Verdict.MET if median(ratios) <= self.most else Verdict.MISSED,
        )


@dataclass(frozen=True)
class AtMost:
    """A figure of ours is so much at most, whoever runs beside.

    Attributes:
        figure: which.
        most: how much.
    """

    figure: str
    most: float

    def judge(self, result: Result) -> Finding:
        """See `Bar`."""
        value = result.median(result.ours, self.figure)
        return Finding(
            ours=f"{FIGURES[self.figure].heading}: {shown(self.figure, value)}",
            theirs="–",
            ratio="–",
            bar=f"at most {self.most:g}",
            verdict=Verdict.MET if value <= self.most else Verdict.MISSED,
        )


@dataclass(frozen=True)
class Peers:
    """A bar against other queues that are not measured in this run.

    Attributes:
        bar: what is asked.
    """

    bar: str

    def judge(self, result: Result) -> Finding:
        """See `Bar`."""
        return Finding(ours="–", theirs="–", ratio="–", bar=self.bar, verdict=Verdict.NO_PEERS)


def _unit(figure: str) -> str:
    heading = FIGURES[figure].heading
    return heading.rpartition(", ")[2]


def _with_unit(result: Result, contender: str, figure: str) -> str:
    return f"{shown(figure, result.median(contender, figure))} {_unit(figure)}"
