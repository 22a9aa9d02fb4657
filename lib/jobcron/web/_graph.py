"""The neighbours of a job in its graph, drawn as SVG on the server; a table has the same."""

from __future__ import annotations

from dataclasses import dataclass

from jobcron.interfaces import JobStatus
from jobcron.jobs.graphs.reading import Neighbour
from jobcron.operations.details import JobDetails

DRAWN = 8
"""The most predecessors, and successors, that are drawn; the table has more."""

WIDTH, HEIGHT = 210, 46
"""The size of the box of a job."""

BESIDE, BELOW = 70, 14
"""The room between two boxes."""


@dataclass(frozen=True)
class Box:
    """A job in the drawing.

    Attributes:
        id: its number.
        type: the name of its type; None: it was deleted.
        status: its status; None: it was deleted.
        x: its left edge.
        y: its upper edge.
        is_here: whether it is the job of the page.
    """

    id: int
    type: str | None
    status: JobStatus | None
    x: int
    y: int
    is_here: bool = False


@dataclass(frozen=True)
class Edge:
    """A line between two jobs.

    Attributes:
        path: its course.
        is_met: whether the predecessor has ended as the edge wants.
        any_end: whether any end will do.
        words: all this in words.
    """

    path: str
    is_met: bool
    any_end: bool
    words: str


@dataclass(frozen=True)
class Drawing:
    """A job between its predecessors and its successors.

    Attributes:
        width: of the drawing.
        height: of the drawing.
        boxes: the jobs.
        edges: the lines.
        more: how many neighbours the table has that are not drawn.
    """

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    more: int


def drawn(job: JobDetails) -> Drawing | None:
    """Return the drawing of a job's neighbours; None: it has none."""
    if not job.predecessors and not job.successors:
        return None
    sides = (job.predecessors[:DRAWN], job.successors[:DRAWN])
    height = max(1, *map(len, sides)) * (HEIGHT + BELOW) - BELOW
    step = WIDTH + BESIDE
    place = step if job.predecessors else 0
    here = Box(job.id, job.type, job.status, place, (height - HEIGHT) // 2, is_here=True)
    before, after = _column(sides[0], 0, height), _column(sides[1], place + step, height)
    edges = [
        *(_edge(box, here, one) for box, one in zip(before, sides[0], strict=True)),
        *(_edge(here, box, one) for box, one in zip(after, sides[1], strict=True)),
    ]
    width = place + WIDTH + (step if after else 0)
    more = sum(
        len(all_of) - len(some) for all_of, some in zip((job.predecessors, job.successors), sides, strict=True)
    )
    return Drawing(width, height, (*before, here, *after), tuple(edges), more)


def _column(neighbours: tuple[Neighbour, ...], x: int, height: int) -> list[Box]:
    top = (height - len(neighbours) * (HEIGHT + BELOW) + BELOW) // 2
    return [
        Box(one.id, one.type, one.status, x, top + number * (HEIGHT + BELOW))
        for number, one in enumerate(neighbours)
    ]


def _edge(first: Box, then: Box, neighbour: Neighbour) -> Edge:
    x, y, end, to = first.x + WIDTH, first.y + HEIGHT // 2, then.x - 6, then.y + HEIGHT // 2
    middle = (x + end) // 2
    wanted = "any end" if neighbour.any_end else "success"
    words = f"Job {then.id} waits for {wanted} of job {first.id}: {'met' if neighbour.is_met else 'not yet'}"
    return Edge(f"M{x} {y}C{middle} {y} {middle} {to} {end} {to}", neighbour.is_met, neighbour.any_end, words)
