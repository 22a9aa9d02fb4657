"""What the site promises of its job sources: the rest of it knows these, and no job class."""

from __future__ import annotations

from jobcron import IJobSource


class IGenerateDiffJobSource(IJobSource):
    """Makes and finds the jobs that generate preview diffs."""

    def acquire(merge_proposal: object) -> object:
        """Return the job that will generate this proposal's diff; it is made if none waits already."""


class ICalculateHeatJobSource(IJobSource):
    """Makes and finds the jobs that calculate the heat of repositories."""

    def acquire(repository: object) -> object:
        """Return the job that will calculate this repository's heat; it is made if none waits already."""
