"""The feed of a class of jobs: how many it claims at once, and which jobs come first."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from feeds import feed_of, make, take
from fooapp import ActJob
from instances import Instance
from jobcron import JobStatus
from jobcron.database import statements
from jobcron.queue.claim import Claimant, claim_one
from jobcron.queue.type_feed import Line, smoothed


def test_the_first_batch_is_one_job_and_quick_jobs_make_the_next_ones_larger(instance: Instance) -> None:
    make(instance, ActJob, 41)
    feed = feed_of(instance, ActJob, batch_size=20)
    sizes = []
    while jobs := take(instance, feed):
        sizes.append(len(jobs))
        feed.took(0.001)
    assert sizes == [1, 4, 16, 20]


def test_where_jobs_take_long_no_more_than_a_second_of_work_is_claimed(instance: Instance) -> None:
    make(instance, ActJob, 41)
    feed = feed_of(instance, ActJob)
    take(instance, feed)
    feed.took(0.3)  # three of them make a second
    assert len(take(instance, feed)) == 3
    feed.took(60.0)
    assert len(take(instance, feed)) == 1


def test_nothing_is_learned_before_a_job_has_ended(instance: Instance) -> None:
    make(instance, ActJob, 5)
    feed = feed_of(instance, ActJob)
    assert [len(take(instance, feed)) for _ in range(3)] == [1, 1, 1]


@pytest.mark.feature("LP-23")
def test_jobs_whose_process_died_come_first_and_one_at_a_time(instance: Instance) -> None:
    dead = [instance.act() for _ in range(2)]
    waiting = instance.act(priority=0)
    instance.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, attempt_count = 1, lease_expires = date_created, "
        f"date_started = date_created, claimed_by = 'host:' || id WHERE id <= {dead[-1]}"
    )
    for job in dead:
        instance.end_lease(job)
    feed = feed_of(instance, ActJob)
    assert [take(instance, feed) for _ in range(4)] == [[dead[0]], [dead[1]], [waiting], []]
    assert [instance.row(job).crash_count for job in (*dead, waiting)] == [1, 1, 0]


@pytest.mark.feature("LP-21")
def test_a_claim_that_was_rolled_back_gives_back_nothing_of_the_one_who_claimed_after_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = make(instance, ActJob, 1)
    feed = feed_of(instance, ActJob)
    other = Claimant("another run", 60.0)

    def cut() -> None:
        """Lose the connection at the COMMIT; somebody else claims at once."""
        session.rollback()
        with instance.database.begin() as connection:
            assert [claim.id for claim in claim_one(connection, job, other)] == [job]
        raise OperationalError("COMMIT", {}, Exception("the connection was lost"))

    with instance.database.session() as session:
        monkeypatch.setattr(session, "commit", cut)
        with pytest.raises(OperationalError):
            feed.take(session, lambda: False)
    row = instance.row(job)
    assert (row.status, row.claimed_by, row.lease_token) == (JobStatus.RUNNING, "another run", 1)


@pytest.mark.feature("LP-23")
@pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
@pytest.mark.parametrize("kind", ["first", "later", "in a channel"])
def test_a_process_that_is_stopped_in_the_middle_of_a_claim_keeps_no_job_from_others(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(statements, "IDLE_SECONDS", 0.2)
    feed, others = feed_of(instance, ActJob), feed_of(instance, ActJob, name="another run")
    if kind != "first":
        before = instance.act()
        assert take(instance, feed) == [before]
    job = instance.act(channel="root.export" if kind == "in a channel" else None)
    claim = Line.claim

    def stopped(*about: Any) -> object:
        found = claim(*about)
        if found:
            monkeypatch.setattr(Line, "claim", claim)
            time.sleep(0.5)  # as a process that got SIGSTOP here
            assert take(instance, others) == [job]
        return found

    monkeypatch.setattr(Line, "claim", stopped)
    with pytest.raises(DBAPIError):
        take(instance, feed)
    assert instance.row(job).claimed_by == "another run"
    assert take(instance, feed) == []


def test_what_a_job_takes_is_smoothed_over_the_last_ones() -> None:
    assert smoothed(None, 5.0) == 5.0
    known = 10.0
    for _ in range(20):
        known = smoothed(known, 1.0)
    assert known == pytest.approx(1.0, abs=0.01)
    assert 1.0 < smoothed(1.0, 2.0) < 2.0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_feed_that_finds_no_more_jobs_looks_whether_some_have_come_in_channels(instance: Instance) -> None:
    feed, first = feed_of(instance, ActJob), instance.act()
    assert take(instance, feed) == [first]
    plain, limited = instance.act(), instance.act(channel="root.export")
    assert take(instance, feed) == [plain]
    assert take(instance, feed) == [limited]
    assert take(instance, feed) == []
