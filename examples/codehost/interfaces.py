"""The interfaces of the site's job sources: the rest of the site knows these, and no job class."""

from __future__ import annotations

from jobcron import IJobSource


class IGenerateDiffJobSource(IJobSource):
    """Creates and finds the jobs that generate preview diffs."""

    def acquire(merge_proposal: object) -> object:
        """Return the job that will generate this proposal's diff; create it if none is waiting."""


class ICalculateHeatJobSource(IJobSource):
    """Creates and finds the jobs that calculate the heat of repositories."""

    def acquire(repository: object) -> object:
        """Return the job that will calculate this repository's heat; create it if none is waiting."""
