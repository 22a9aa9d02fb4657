"""Put graphs together: jobs that do not exist yet, chains and groups of them, and what follows what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Literal, NamedTuple, Self

from jobcron.database.sessions import AnySession
from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments.json_data import cut_repr
from jobcron.jobs.graphs.creating import Edge, HasRow, PlannedRow, create_graph
from jobcron.jobs.job import Job

On = Literal["success", "any end"]
"""How a predecessor has to end: by success; or in any way: COMPLETED, FAILED, CANCELLED or EXPIRED."""

MAX_EDGES = 100_000
"""The most edges of a graph: a group that waits for another group has as many as the product of their sizes."""


class _Link(NamedTuple):
    """An element that begins after another one: after all jobs of it, or its last ones; how those have to end."""

    element: Element
    of_all: bool
    any_end: bool


class Element:
    """A part of a graph: a job, a chain or a group. Each object is another part, even if two are planned alike."""

    def __init__(self, parts: Sequence[Element] = ()) -> None:
        self.parts = parts
        self.links: list[_Link] = []
        self.near: list[Element] = list(parts)
        for part in parts:
            part.near.append(self)

    def on_done(self, *elements: Part, on: On = "success") -> Self:
        """Let `elements` begin when this element is done; return this element.

        Args:
            elements: planned jobs, chains or groups; each waits for the last jobs of this element.
            on: how those last jobs have to end: "success" or "any end".

        Raises:
            InvalidJobData: one of `elements` is something else, or an existing job, which cannot be made to wait.
        """
        if on not in ("success", "any end"):
            raise InvalidJobData(f"expected on to be 'success' or 'any end', got {cut_repr(on)}")
        return self._follow(elements, of_all=False, any_end=on == "any end")

    def on_end(self, *elements: Part) -> Self:
        """Let `elements` begin when all jobs of this element have ended, in any way; return this element.

        A job that stays BLOCKED because a job before it failed has not ended.

        Raises:
            InvalidJobData: see `on_done`.
        """
        return self._follow(elements, of_all=True, any_end=True)

    def create(self, *, session: AnySession | None = None) -> Graph:
        """Create all jobs of the graph that this element is part of, in the caller's transaction.

        Each further call creates all of them again, as new jobs.

        Args:
            session: the caller's session; by default that of a job's target, then the ambient one.

        Raises:
            InvalidJobData: jobs would wait for each other in a circle, a job does not fit, or the graph has too
                many edges. Nothing is written.
            DuplicateJob: another job with the ``unique_key`` of one of these has not started yet.
            NoSuchJob: an existing job of the graph has been deleted.
            NoSession: no session was found.
        """
        elements = _connected(self)
        edges = _edges(elements)
        planned = _in_order(edges, [job for job in elements if isinstance(job, Planned)])
        places: dict[Single, int] = {job: place for place, job in enumerate(planned)}
        found = [
            Edge(places.get(before, before.place), places[after], any_end)
            for (before, after), any_end in edges.items()
        ]
        numbers = create_graph([job.row for job in planned], found, session)
        return Graph(dict(zip(planned, numbers, strict=True)))

    def first(self) -> Iterator[Single]:
        """Yield the jobs that begin first."""
        for part in self.parts:
            yield from part.first()

    def last(self) -> Iterator[Single]:
        """Yield the jobs that end last."""
        for part in self.parts:
            yield from part.last()

    def all(self) -> Iterator[Single]:
        """Yield all jobs."""
        for part in self.parts:
            yield from part.all()

    def _follow(self, elements: Sequence[Part], *, of_all: bool, any_end: bool) -> Self:
        for element in map(element_of, elements):
            for job in element.first():
                if isinstance(job, Existing):
                    raise InvalidJobData(f"expected planned jobs to wait for others, got one that exists, {job}")
            self.links.append(_Link(element, of_all, any_end))
            self.near.append(element)
            element.near.append(self)
        return self


class Single(Element):
    """One job."""

    place = 0
    """Of a job that exists its negative number."""

    def first(self) -> Iterator[Single]:
        """Yield the job itself."""
        yield self

    last = all = first


class Planned(Single):
    """A planned job: it is created with its graph, or alone by `create`.

    Args:
        row: the job.
    """

    def __init__(self, row: PlannedRow) -> None:
        super().__init__()
        self.row = row

    def __str__(self) -> str:
        return str(self.row)


class Existing(Single):
    """A job that exists already, for which others are to wait.

    Args:
        number: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.place = -number

    def __str__(self) -> str:
        return f"job {-self.place}"


class Chain(Element):
    """Elements that run one after the other: each begins when the one before it is done."""

    def __init__(self, parts: Sequence[Element], on: On) -> None:
        super().__init__(parts)
        for before, after in zip(parts, parts[1:], strict=False):
            before.on_done(after, on=on)

    def first(self) -> Iterator[Single]:
        """Yield the first jobs of its first part."""
        yield from self.parts[0].first()

    def last(self) -> Iterator[Single]:
        """Yield the last jobs of its last part."""
        yield from self.parts[-1].last()


class Group(Element):
    """Elements that do not wait for each other."""


Part = Element | Job | HasRow
"""What graphs are put together from: jobs that exist can only be waited for."""


class Graph:
    """A graph that was created.

    Args:
        numbers: the numbers of its jobs, predecessors first.
    """

    def __init__(self, numbers: dict[Planned, int]) -> None:
        self._numbers = numbers

    @property
    def jobs(self) -> tuple[int, ...]:
        """The numbers of the graph's jobs, predecessors first."""
        return tuple(self._numbers.values())

    def __getitem__(self, planned: Planned) -> int:
        """Return the number of one of the graph's jobs."""
        return self._numbers[planned]


def chain(*elements: Part, on: On = "success") -> Element:
    """Return a chain: each element begins when the one before it is done.

    Args:
        elements: planned jobs, chains or groups; the first one may be an existing job.
        on: how the last jobs of an element have to end for the next one to begin: "success" or "any end".

    Raises:
        InvalidJobData: there are no elements, or one of them is something else.
    """
    return Chain(_elements("chain", elements), on)


def group(*elements: Part) -> Element:
    """Return a group: its elements do not wait for each other, and what follows it waits for all of them.

    Raises:
        InvalidJobData: there are no elements, or one of them is something else.
    """
    return Group(_elements("group", elements))


def _elements(name: str, given: Sequence[Part]) -> list[Element]:
    if not given:
        raise InvalidJobData(f"expected {name} to get planned jobs, chains or groups, got nothing")
    return [element_of(part) for part in given]


def element_of(part: Part) -> Element:
    """Return a part of a graph as an element; a job that exists becomes an `Existing`.

    Raises:
        InvalidJobData: the part is neither an element nor a job.
    """
    if isinstance(part, Element):
        return part
    row = part if isinstance(part, Job) else getattr(part, "job", None)  # any object: what the caller gives
    if not isinstance(row, Job):
        raise InvalidJobData(
            f"expected a planned job, as MyJob.planned(…) returns it, a chain, a group, or a job that exists, got "
            f"{cut_repr(part)}"
        )
    return Existing(row.id)


def _connected(element: Element) -> list[Element]:
    """Return all elements of a graph, in the order in which they are met from one of them."""
    found: dict[Element, None] = {}
    todo = [element]
    while todo:
        if (near := todo.pop()) not in found:
            found[near] = None
            todo.extend(reversed(near.near))
    return list(found)


def _edges(elements: Sequence[Element]) -> dict[tuple[Single, Planned], bool]:
    """Return which job waits for which, and whether any end suffices; the stricter of two wishes holds.

    Raises:
        InvalidJobData: there are too many.
    """
    found: dict[tuple[Single, Planned], bool] = {}
    for element in elements:
        for link in element.links:
            before = list(element.all() if link.of_all else element.last())
            after = [job for job in link.element.first() if isinstance(job, Planned)]
            if len(found) + len(before) * len(after) > MAX_EDGES:
                raise InvalidJobData(
                    f"expected at most {MAX_EDGES:,} pairs of jobs that wait for each other, got more: let a job "
                    f"stand between a group of {len(before):,} and one of {len(after):,} that waits for it"
                )
            for first in before:
                for second in after:
                    found[first, second] = found.get((first, second), True) and link.any_end
    return found


def _in_order(edges: dict[tuple[Single, Planned], bool], jobs: Sequence[Planned]) -> list[Planned]:
    """Return jobs, each after those that it waits for.

    Raises:
        InvalidJobData: there is a circle; the message names its jobs.
    """
    sorter: TopologicalSorter[Single] = TopologicalSorter(dict.fromkeys(jobs, ()))
    for before, after in edges:
        sorter.add(after, before)
    try:
        return [job for job in sorter.static_order() if isinstance(job, Planned)]
    except CycleError as error:
        names = " → ".join(map(str, error.args[1]))
        raise InvalidJobData(f"expected jobs that do not wait for each other in a circle, got: {names}") from error
