"""Where the jobs of a run come from: claimed by type, or found by the source.

A feed hands out jobs that are claimed and loaded; the transaction that did so has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sqlalchemy.orm import Session

from jobcron.queue._source_feed import IteratorFeed
from jobcron.queue.loading import Claimed, FeedOrder
from jobcron.queue.type_feed import TypeFeed


class Feed(Protocol):
    """Hands out claimed jobs."""

    @property
    def has_taken_all(self) -> bool:
        """Whether the last claim took jobs and left no ready job; False also if that is unknown."""

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Claimed]:
        """Return the next jobs, claimed and loaded; an empty list if none is ready.

        Args:
            session: the session to load them in.
            must_stop: returns whether the run was asked to stop; if it was, the list may be empty early.
        """

    def took(self, seconds: float) -> None:
        """Note how long a job took."""

    def look_back(self) -> None:
        """Look at the next `take`, not only from time to time, for jobs of dead processes and for expired ones."""

    def forget(self) -> None:
        """Drop references to loaded objects: their session was closed."""


def feed_for(order: FeedOrder) -> Feed:
    """Return the feed that suits a source."""
    return IteratorFeed(order) if order.source.finds_ready_jobs_itself else TypeFeed(order)
