"""Jobs claimed in batches: how large a batch is, and that those taken over come first."""

from __future__ import annotations

import logging

import pytest

from fooapp import ActJob
from instances import Instance
from jobcron.queue.claim import Claimant
from jobcron.queue.loading import FeedOrder
from jobcron.queue.type_feed import BATCH_GROWTH, TypeFeed, smoothed
from jobcron.queue.views import SourceView


def feed_of(instance: Instance, batch_size: int = 100) -> TypeFeed:
    claimant = Claimant("here:1", 300.0)
    logger = logging.getLogger("feed")
    return TypeFeed(FeedOrder(SourceView(ActJob), instance.database, claimant, batch_size, 3, logger))


def sizes(instance: Instance, feed: TypeFeed, seconds: float) -> list[int]:
    """Take until nothing is left, as if each job took so long; return how many came at once."""
    found = []
    with instance.database.session() as session:
        while entries := feed.take(session, lambda: False):
            found.append(len(entries))
            feed.took(seconds)
    return found


def test_batches_of_quick_jobs_grow_and_stay_within_the_limit(instance: Instance) -> None:
    for _ in range(40):
        instance.act()
    found = sizes(instance, feed_of(instance, batch_size=10), 0.0)
    assert found[:2] == [1, BATCH_GROWTH]
    assert max(found) == 10
    assert sum(found) == 40


def test_slow_jobs_are_claimed_one_by_one(instance: Instance) -> None:
    for _ in range(4):
        instance.act()
    assert sizes(instance, feed_of(instance), 5.0) == [1, 1, 1, 1]


def test_a_job_that_was_left_behind_comes_alone_and_before_those_that_are_ready(instance: Instance) -> None:
    left, *ready = (instance.act() for _ in range(3))
    with instance.database.session() as session:
        (first,) = feed_of(instance).take(session, lambda: False)
    assert first.claim.id == left
    instance.end_lease(left)
    feed = feed_of(instance)
    with instance.database.session() as session:
        (taken,) = feed.take(session, lambda: False)
        assert (taken.claim.id, taken.claim.token) == (left, first.claim.token + 1)
        assert [entry.claim.id for entry in feed.take(session, lambda: False)] == ready[:1]
    assert instance.events(left) == ["taken over"]


def test_how_long_a_job_takes_is_told_by_the_last_ones_most() -> None:
    assert smoothed(None, 2.0) == 2.0
    assert smoothed(1.0, 2.0) == pytest.approx(1.3)
