"""Where contenders work: a database server or a folder, with a fresh database for each measurement."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.race import Figures

EMPTY = "empty"
"""The template that has the tables, the job type and the target, and no jobs."""

FULL = "full"
"""The template that has the jobs as well, all ready."""


WRITING = "writing"
"""The template that has as many ready jobs that change a row, each one of its own."""

GROUPED = "grouped"
"""The template that has many more ready jobs that do nothing, which share transactions; on PostgreSQL."""

MANY = 10
"""So many times more jobs are created at once, or run in groups, than one by one."""


@dataclass(frozen=True)
class Fresh:
    """A database for one measurement.

    Attributes:
        url: SQLAlchemy's.
        folder: for what belongs to the measurement; thrown away with the database.
    """

    url: str
    folder: Path


class Place(Protocol):
    """A database server, or what stands for one."""

    name: str

    def fresh(self, template: str) -> AbstractContextManager[Fresh]:
        """Make a database from a template, and remove it at the end of the block."""

    def watched(self, fresh: Fresh, jobs: int, work: Callable[[], Figures]) -> Figures:
        """Do the work, and add what it cost the server, for each job."""

    def round_trips(self, fresh: Fresh, work: Callable[[], object]) -> int | None:
        """Do the work, and return how many statements reached the server; None where nothing counts them."""

    def count(self, fresh: Fresh, table: str, condition: str = "TRUE") -> int:
        """Return the number of a table's rows for which a condition in SQL holds."""

    def disturbance(self, fresh: Fresh, work: Callable[[], object]) -> Figures:
        """Do the work, and return what the database noticed of it, as far as it can tell."""
