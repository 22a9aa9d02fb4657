"""Contenders that do the same work, measured side by side: interleaved, some rounds, medians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.bars import Bar

Figures = dict[str, float]
"""What one measurement found, by the names in `bench.figures`."""


class WorkerFailed(RuntimeError):
    """A measured process failed, or did not do its work; the message ends with what it printed."""


def nothing() -> Figures:
    """Find nothing."""
    return {}


@dataclass(frozen=True)
class Contender:
    """Somebody who does the work of a race.

    Attributes:
        name: in the tables.
        measure: does all of the work once, in a process of its own, on a fresh database.
        inspect: finds, once, what does not change from round to round: round trips, for instance.
        is_peer: whether it is another queue: one that fails is named, and the others go on.
    """

    name: str
    measure: Callable[[], Figures]
    inspect: Callable[[], Figures] = nothing
    is_peer: bool = False


@dataclass(frozen=True)
class Race:
    """One kind of work, on one database.

    Attributes:
        id: of the bars, such as "P1".
        work: what is done.
        database: where.
        contenders: jobcron first.
        bars: what is asked of jobcron.
    """

    id: str
    work: str
    database: str
    contenders: Sequence[Contender]
    bars: Sequence[Bar]


@dataclass
class Result:
    """What a race found.

    Attributes:
        race: the race.
        rounds: by contender and figure, the values of all rounds.
        failures: by peer, why it did not finish; the others have figures of all rounds.
    """

    race: Race
    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> str:
        """The name of jobcron's contender."""
        return self.race.contenders[0].name

    def values(self, contender: str, figure: str) -> list[float]:
        """Return a contender's values of a figure, one for each round."""
        return self.rounds[contender][figure]

    def median(self, contender: str, figure: str) -> float:
        """Return the median of a contender's values."""
        return median(self.values(contender, figure))

    def ratios(self, figure: str, other: str) -> list[float]:
        """Return, round by round, our value divided by another contender's."""
        return [a / b for a, b in zip(self.values(self.ours, figure), self.values(other, figure), strict=True)]

    def excesses(self, figure: str, other: str) -> list[float]:
        """Return, round by round, by how much our value is above another contender's."""
        return [a - b for a, b in zip(self.values(self.ours, figure), self.values(other, figure), strict=True)]


def run_race(race: Race, rounds: int, tell: Callable[[str], None]) -> Result:
    """Measure all contenders, one after the other within each round.

    Each round begins with another one: who comes first meets caches that nobody has warmed.

    Args:
        race: what to measure.
        rounds: how often.
        tell: told what is being done.
    """
    result = Result(race)
    for contender in race.contenders:
        result.rounds[contender.name] = {}
        for name, value in contender.inspect().items():
            result.rounds[contender.name][name] = [value]
    for number in range(rounds):
        first = number % len(race.contenders)
        for contender in (*race.contenders[first:], *race.contenders[:first]):
            if contender.name not in result.failures:
                tell(f"{race.id}, {race.database}, round {number + 1} of {rounds}: {contender.name}")
                _measure(contender, result)
    return result


def _measure(contender: Contender, result: Result) -> None:
    try:
        found = contender.measure()
    except WorkerFailed as error:
        if not contender.is_peer:
            raise
        result.failures[contender.name] = str(error)
        del result.rounds[contender.name]
        return
    for name, value in found.items():
        result.rounds[contender.name].setdefault(name, []).append(value)
