"""A run goes on where its last claim ended, and no claim or tick reads all priorities one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from fooapp import DoFooJob
from instances import Instance
from jobcron import JobStatus
from jobcron.database.sql import MOST_STEPS
from jobcron.queue import type_feed
from jobcron.queue.claim import Claimant
from jobcron.queue.type_feed import Line
from jobcron.settings.database_url import libpq_url
from query_cost import cost_of, noted_statements, statement_cost
from script_runs import do_foo
from ticks import set_job, shifted, took_the_full_path

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

MANY = 10_000

CLAIMANT = Claimant("me", 300.0)

ASKED: dict[str, Any] = {
    "lease_seconds": 300.0,
    "claimed_by": "me",
    "crash_limit": 3,
    "section": "do_foo",
    "run_name": "do_foo",
    "minus_activity_interval": -600.0,
    "minus_patience": 0.0,
    "gone": "",
    "batch": 100,
}
"""The parameters of a claim or a tick, without the type's, which is a number or a name."""


def number_of(instance: Instance, name: str = DoFooJob.type_name) -> int:
    """Return the number of a type."""
    ((number,),) = instance.query("SELECT id FROM jobcron_type WHERE name = :name", name=name)
    return int(number)


@pytest.fixture
def line(quiet: Instance) -> Line:
    """Return the line of jobs of a type."""
    do_foo(quiet)
    number = number_of(quiet)
    quiet.query("DELETE FROM foo_job")
    quiet.query("DELETE FROM jobcron_job")
    return Line(number, CLAIMANT)


def claimed(instance: Instance, line: Line, batch: int = 1) -> list[int]:
    """Claim jobs in a transaction of their own; return their numbers."""
    with instance.database.begin() as connection:
        return [claim.id for claim in line.claim(connection, batch)]


@pytest.fixture
def bloated(quiet: Instance) -> Iterator[Instance]:
    """Return an instance in which a transaction has been open while many jobs were run; some are ready."""
    job = do_foo(quiet)
    quiet.multiply(job, MANY + 100, priority="10")
    quiet.query("ALTER TABLE jobcron_job SET (autovacuum_enabled = off)")
    quiet.query("ANALYZE jobcron_job")
    with closing(psycopg2.connect(libpq_url(quiet.url))) as other:
        other.set_session(isolation_level="REPEATABLE READ")
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM jobcron_job LIMIT 1")
        done = "id IN (SELECT id FROM jobcron_job WHERE status = 0 ORDER BY id LIMIT 10000)"
        quiet.query(f"UPDATE jobcron_job SET status = 1, lease_token = 1, lease_expires = now() WHERE {done}")
        quiet.query(
            "UPDATE jobcron_job SET status = 2, lease_expires = NULL, date_finished = now() WHERE status = 1"
        )
        yield quiet


@on_postgresql
def test_while_a_transaction_is_open_elsewhere_only_a_look_from_the_head_reads_what_was_run(
    bloated: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type_feed, "HEAD_SECONDS", 3600.0)
    line = Line(number_of(bloated), CLAIMANT)
    with noted_statements() as noted:
        found = [claimed(bloated, line) for _ in range(3)]
    claims = [(text, values) for text, values in noted if text.startswith("WITH RECURSIVE")]
    assert [len(numbers) for numbers in found] == [1, 1, 1]
    assert sorted(found) == found
    costs = [cost_of(bloated, text, values) for text, values in claims]
    assert len(costs) == 3
    assert costs[0] > MANY, "the head of the line is as it is meant to be"
    assert max(costs[1:]) < costs[0] / 4, costs


@on_postgresql
def test_a_claim_and_a_tick_read_what_was_run_once(bloated: Instance) -> None:
    bloated.query(f"UPDATE jobcron_job SET scheduled_start = {shifted(bloated, 3600)} WHERE status = 0")
    once = cost_of(bloated, "SELECT min(priority) FROM jobcron_job WHERE status = 0 AND channel IS NULL", {})
    costs = [
        statement_cost(bloated, "claim", type=number_of(bloated), **ASKED),
        statement_cost(bloated, "tick", type=DoFooJob.type_name, **ASKED),
    ]
    assert once > MANY / 2
    assert max(costs) < 1.6 * once, (costs, once)


def test_a_better_job_is_claimed_at_the_next_look_from_the_head_and_before_the_line_is_over(
    quiet: Instance, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type_feed, "HEAD_SECONDS", 3600.0)
    first, second = do_foo(quiet), do_foo(quiet)
    assert claimed(quiet, line) == [first]
    better = do_foo(quiet, priority=1)
    rest = [claimed(quiet, line) for _ in range(3)]
    if quiet.database.dialect == "postgresql":
        assert rest == [[second], [better], []]
    else:
        assert rest == [[better], [second], []]


def test_looks_from_the_head_come_every_second(
    quiet: Instance, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert type_feed.HEAD_SECONDS == 1.0
    monkeypatch.setattr(type_feed, "HEAD_SECONDS", 0.0)
    monkeypatch.setattr(type_feed, "HEAD_SHARE", 1e9)
    first, second = do_foo(quiet), do_foo(quiet)
    assert claimed(quiet, line) == [first]
    better = do_foo(quiet, priority=1)
    assert [claimed(quiet, line) for _ in range(3)] == [[better], [second], []]


def test_a_look_from_the_head_that_took_long_does_not_bar_better_jobs_for_long(
    quiet: Instance, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert type_feed.HEAD_PAUSE == 10.0
    monkeypatch.setattr(type_feed, "HEAD_SECONDS", 0.0)
    monkeypatch.setattr(type_feed, "HEAD_SHARE", 1e-9)  # as if the look had taken hours
    monkeypatch.setattr(type_feed, "HEAD_PAUSE", 0.0)
    first, second = do_foo(quiet), do_foo(quiet)
    assert claimed(quiet, line) == [first]
    better = do_foo(quiet, priority=1)
    assert [claimed(quiet, line) for _ in range(3)] == [[better], [second], []]


def test_a_job_that_was_put_back_is_claimed_again_before_the_line_is_over(quiet: Instance, line: Line) -> None:
    jobs = [do_foo(quiet) for _ in range(3)]
    assert claimed(quiet, line) == jobs[:1]
    set_job(quiet, jobs[0], status="0", lease_expires="NULL", date_started="NULL")
    found = [claimed(quiet, line) for _ in range(4)]
    assert sorted(number for numbers in found for number in numbers) == sorted(jobs)
    assert found[-1] == []


def test_in_an_analyzed_table_no_claim_and_no_tick_reads_jobs_that_are_over(quiet: Instance) -> None:
    job = do_foo(quiet)
    quiet.multiply(job, MANY, status="2", date_finished=shifted(quiet, 0))
    quiet.query("ANALYZE")
    quiet.database.close()  # SQLite reads the statistics when it connects
    number = number_of(quiet)
    for name, kind in (("claim", number), ("take_group", number), ("tick", DoFooJob.type_name)):
        cost = statement_cost(quiet, name, type=kind, **ASKED)
        assert cost < MANY / 2, (name, cost)


@on_postgresql
def test_a_claim_tells_whether_it_has_left_nothing_at_the_head_of_the_line(quiet: Instance, line: Line) -> None:
    def is_over_after(batch: int) -> bool:
        claimed(quiet, line, batch)
        return line.is_over

    jobs = [do_foo(quiet) for _ in range(3)]
    assert not is_over_after(2), "one is left"
    assert not is_over_after(2), "a job with a better place may have come before the line's end"
    jobs += [do_foo(quiet), do_foo(quiet)]
    assert is_over_after(3)
    assert not is_over_after(3), "a claim of nothing has not taken all, some may be in channels"
    first, crashed = do_foo(quiet), do_foo(quiet)
    set_job(quiet, crashed, crash_count="1")
    assert not is_over_after(3), "a job whose process died is claimed alone"
    assert claimed(quiet, line) == [crashed]
    do_foo(quiet)
    set_job(quiet, do_foo(quiet), channel="'export'")
    assert not is_over_after(3), "one waits in a channel"
    assert {quiet.row(job).status for job in (*jobs, first, crashed)} == {JobStatus.RUNNING}


@pytest.fixture
def varied(quiet: Instance) -> Instance:
    """Return an instance with jobs of many priorities that are not due."""
    job = do_foo(quiet, priority=-1)
    set_job(quiet, job, scheduled_start=shifted(quiet, 3600))
    quiet.multiply(job, MANY, priority="n", scheduled_start=shifted(quiet, 3600))
    if quiet.database.dialect == "postgresql":
        quiet.query("ANALYZE jobcron_job")
    quiet.database.close()
    return quiet


def test_jobs_behind_many_priorities_run_in_their_order(varied: Instance) -> None:
    assert not took_the_full_path(varied, "do_foo")
    late, soon = do_foo(varied, priority=2 * MANY), do_foo(varied, priority=2 * MANY - 1)
    varied.database.close()
    assert took_the_full_path(varied, "do_foo")
    rows = [varied.row(job) for job in (soon, late)]
    assert [row.status for row in rows] == [JobStatus.COMPLETED] * 2
    assert rows[0].date_started <= rows[1].date_started  # type: ignore[operator]
    varied.database.close()
    assert not took_the_full_path(varied, "do_foo")


def test_many_priorities_are_not_looked_up_one_by_one(varied: Instance) -> None:
    number = number_of(varied)
    # Each look-up reads some pages, which count as a hundred rows each.
    most = 4 * MANY if varied.database.dialect == "sqlite" else MOST_STEPS * 100 * 25
    for name, kind in (("claim", number), ("tick", DoFooJob.type_name)):
        cost = statement_cost(varied, name, type=kind, **ASKED)
        assert cost < most, (name, cost)
