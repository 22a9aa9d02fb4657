"""Feeds for the tests of the queue."""

from __future__ import annotations

from typing import Any

from instances import Instance
from jobcron.queue.claim import Claimant
from jobcron.queue.feed import Feed, feed_for
from jobcron.queue.loading import FeedOrder
from jobcron.queue.views import SourceView
from jobcron.testing import DevNullLogger


def feed_of(instance: Instance, source: object, batch_size: int = 100, name: str = "a test") -> Feed:
    """Return a feed of the jobs of a source, which claims them for a minute."""
    order = FeedOrder(SourceView(source), instance.database, Claimant(name, 60.0), batch_size, 3, DevNullLogger())
    return feed_for(order)


def take(instance: Instance, feed: Feed) -> list[int]:
    """Take the next jobs in a session of their own, and return their numbers."""
    with instance.database.session() as session:
        return [claimed.claim.id for claimed in feed.take(session, lambda: False)]


def make(instance: Instance, job_class: Any, count: int, **values: Any) -> list[int]:
    """Commit so many jobs of a class, and return their numbers."""
    with instance.session() as session:
        foo = instance.foo(session)
        return [job_class.create(foo, session=session, **values).job.id for _ in range(count)]
