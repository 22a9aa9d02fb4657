"""Which feed a source gets, and what both promise: jobs claimed and loaded, in a transaction that is over."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from fooapp import ActJob, OwnReadyJob
from instances import Instance
from jobcron import JobStatus
from jobcron.queue._source_feed import IteratorFeed
from jobcron.queue.claim import Claimant
from jobcron.queue.feed import Feed, feed_for
from jobcron.queue.loading import FeedOrder
from jobcron.queue.type_feed import TypeFeed
from jobcron.queue.views import SourceView


def feed_of(instance: Instance, source: Any) -> Feed:
    claimant = Claimant("here:1", 300.0)
    return feed_for(
        FeedOrder(SourceView(source), instance.database, claimant, 100, 3, logging.getLogger("feed"))
    )


@pytest.mark.parametrize(
    ("source", "kind"), [(ActJob, TypeFeed), (OwnReadyJob, IteratorFeed), (object(), IteratorFeed)]
)
def test_a_source_with_an_iter_ready_of_its_own_is_asked_and_any_other_is_claimed_by_type(
    instance: Instance, source: Any, kind: type[Any]
) -> None:
    assert type(feed_of(instance, source)) is kind


@pytest.mark.parametrize("source", [ActJob, OwnReadyJob])
def test_what_a_feed_hands_out_is_claimed_and_no_transaction_is_open(instance: Instance, source: Any) -> None:
    with instance.session() as session:
        number = source.create(instance.foo(session), session=session).job.id
    feed = feed_of(instance, source)
    with instance.database.session() as session:
        (claimed,) = feed.take(session, lambda: False)
        assert not session.in_transaction()
        assert claimed.claim.id == number
        assert claimed.job.row is not None
        assert claimed.job.row.id == number
        row = instance.row(number)
        assert (row.status, row.claimed_by, row.lease_token) == (
            JobStatus.RUNNING,
            "here:1",
            claimed.claim.token,
        )
        assert feed.take(session, lambda: False) == []
