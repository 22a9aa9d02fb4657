"""The attribute ``metadata`` of rows: a job's data, as Launchpad's rows have it (LP-06).

SQLAlchemy's mapped classes have an attribute of this name for their tables. A class keeps that one; without this,
a row would have it as well, and what is assigned to it would be lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from jobcron.errors import InvalidJobData
from jobcron.jobs.arguments.document import lent


class SharedRow(Protocol):
    """The shared row of a job."""

    json_data: dict[str, object]


class RowMetadata:
    """A descriptor: of a row the job's data, of its class the ``MetaData`` with the table.

    Args:
        job_of: returns the shared row.
        of_class: what the class says; by default what its next base says.
    """

    def __init__(self, job_of: Callable[[object], SharedRow | None], of_class: object = None) -> None:
        self._job_of = job_of
        self._of_class = of_class

    def __get__(self, row: object, owner: type[object]) -> object:
        """Return the data of a row, or what a class says."""
        if row is not None:
            return lent(self._job(row).json_data)
        if self._of_class is not None:
            return self._of_class
        says = (vars(base).get("metadata") for base in owner.__mro__)
        return next((found for found in says if found is not None and not isinstance(found, RowMetadata)), None)

    def __set__(self, row: object, value: dict[str, object]) -> None:
        """Set the data of a row."""
        self._job(row).json_data = value

    def _job(self, row: object) -> SharedRow:
        job = self._job_of(row)
        if job is None:
            raise InvalidJobData(f"expected {type(row).__name__} to have a job before its metadata is used")
        return job
