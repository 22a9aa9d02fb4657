"""Claiming jobs: each is run by one runner, in order, and a job that died before is claimed alone."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from fooapp import DoFooJob
from instances import Instance
from jobcron import JobStatus, chain
from jobcron.database.sql import driver_text
from jobcron.settings.database_url import libpq_url
from races import make_queue, race
from runner_processes import Gate, configure, drain, make, numbers, started
from shortleaseapp import BusyJob

WRITE = ("write", "effect")


QUEUE_LENGTH = 2000


@pytest.mark.feature("LP-01")
@pytest.mark.feature("LP-23")
def test_four_runners_on_one_queue_run_each_job_exactly_once(instance: Instance) -> None:
    make_queue(instance, QUEUE_LENGTH)
    completed = race(instance, "run", 4)
    assert len(completed) == 4
    # On SQLite a job may meet BUSY and wait for its second turn; nothing is lost by that, and nothing doubled.
    assert numbers(instance, JobStatus.RUNNING) == []
    drain(instance, "do_foo")
    assert numbers(instance, JobStatus.COMPLETED) == list(range(1, QUEUE_LENGTH + 1))
    assert sorted(job for job, *_ in instance.ledger()) == list(range(1, QUEUE_LENGTH + 1))
    assert instance.query("SELECT min(frozzled), max(frozzled) FROM foo") == [(1, 1)]
    assert instance.query("SELECT min(attempt_count), max(attempt_count) FROM jobcron_job") == [(1, 1)]
    assert sum(completed) >= QUEUE_LENGTH * 0.9
    if instance.database.dialect == "postgresql":
        assert all(completed)  # nobody waits for another


@pytest.fixture(params=[False, True], ids=["", "heard"])
def heard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the application hear of all sessions, or not: if it does, jobs are loaded when they are claimed."""

    def hear(*about: object) -> None:
        """Do nothing."""

    if request.param:
        event.listen(Session, "after_begin", hear)
    yield
    if request.param:
        event.remove(Session, "after_begin", hear)


@pytest.mark.feature("LP-10")
def test_jobs_start_in_order_of_priority_due_time_and_number(instance: Instance, heard: None) -> None:
    chance = random.Random(6)
    now = datetime.now(UTC)
    due = [now - timedelta(minutes=minutes) for minutes in (1, 10, 100)]
    for _ in range(40):
        instance.act(WRITE, priority=chance.choice([-1000, -1, 0, 10, 11]), scheduled_start=chance.choice(due))
    not_due = instance.act(WRITE, priority=-2000, scheduled_start=now + timedelta(hours=1))
    ready = [row for row in instance.rows() if row.id != not_due]
    instance.run("act")
    expected = sorted(ready, key=lambda row: (row.priority, row.scheduled_start, row.id))
    assert [job for job, *_ in instance.ledger()] == [row.id for row in expected]
    assert numbers(instance, JobStatus.WAITING) == [not_due]


@pytest.mark.feature("LP-23")
def test_a_job_whose_process_died_before_is_claimed_alone(instance: Instance, tmp_path: Path) -> None:
    configure(instance)
    before, alone = Gate(tmp_path, "before"), Gate(tmp_path, "alone")
    for _ in range(2):
        make(instance, BusyJob)
    harmless = make(instance, BusyJob, before.touch, before.wait)
    suspect = make(instance, BusyJob, alone.touch, alone.wait)
    behind = [make(instance, BusyJob, WRITE) for _ in range(3)]
    instance.query("UPDATE jobcron_job SET crash_count = 1 WHERE id = :id", id=suspect)
    with started(instance, "busy") as run:
        before.reached()
        assert numbers(instance, JobStatus.RUNNING) == [harmless]  # the batch ends before the suspect
        before.open()
        alone.reached()
        assert numbers(instance, JobStatus.RUNNING) == [suspect]
        alone.open()
        run.end()
    assert [job for job, *_ in instance.ledger()] == behind


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has no messages
@pytest.mark.parametrize("statement", ["claim", "claim_one"])
def test_a_job_begins_after_the_end_of_the_one_before_it_however_late_its_claim_is_reached(
    instance: Instance, statement: str
) -> None:
    with instance.session() as session:
        before, after = (DoFooJob.planned(instance.foo(session)) for _ in range(2))
        made = chain(before, after).create(session=session)
    with instance.session() as session:
        DoFooJob.get(made[before], session=session).start()
    asked: dict[str, object] = {"type": instance.row(made[after]).type_id, "id": made[after], "batch": 1}
    asked |= {"section": "", "channel": "", "gone": "", "lease_seconds": 60, "claimed_by": "me", "crash_limit": 3}
    text = f"SELECT pg_catalog.pg_sleep(0.5); {driver_text(statement)}"  # one message, whose time is its arrival
    with ThreadPoolExecutor() as pool, closing(psycopg2.connect(libpq_url(instance.url))) as claiming:
        claiming.autocommit = False
        with claiming.cursor() as cursor:
            claim = pool.submit(cursor.execute, text, asked)
            time.sleep(0.2)
            with instance.session() as session:
                DoFooJob.get(made[before], session=session).complete()
            claim.result()
            assert cursor.rowcount == 1
        claiming.commit()
    ended, begun = instance.row(made[before]).date_finished, instance.row(made[after]).date_started
    assert ended is not None
    assert begun is not None
    assert ended < begun
