"""Where the jobs of a run come from: claimed by type, or found by the source itself.

A feed hands out jobs that are claimed and loaded; the transaction in which it did so is over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy.orm import Session

from jobcron.database.database import TransactionSource
from jobcron.queue._source_feed import IteratorFeed
from jobcron.queue.claim import Claimant
from jobcron.queue.loading import Entry
from jobcron.queue.type_feed import TypeFeed


class Feed(Protocol):
    """Hands out claimed jobs."""

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Entry]:
        """Return the next jobs, claimed and loaded; an empty list where none is ready.

        Args:
            session: where they work.
            must_stop: tells whether the run was asked to stop: then the list may be empty early.
        """

    def took(self, seconds: float) -> None:
        """Learn how long a job took."""

    def forget(self) -> None:
        """Let go of objects that were loaded: their session was closed."""


def feed_for(
    source: Any,
    database: TransactionSource,
    claimant: Claimant,
    batch_size: int,
    crash_limit: int,
    logger: logging.Logger,
) -> Feed:
    """Return the feed that suits a source."""
    if getattr(source, "finds_ready_jobs_itself", True):
        return IteratorFeed(source, database, claimant, crash_limit, logger)
    return TypeFeed(source, database, claimant, batch_size, crash_limit, logger)
