"""A plan is what the next run then does: the same jobs in the same order, the same taken over and ended first."""

from __future__ import annotations

import itertools
import logging
import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import fooapp
from channel_jobs import limit
from instances import SECTIONS, Instance
from jobcron import Database, Job, JobStatus, load_settings
from jobcron.operations.forecast.plan import Plan, Step, plan_section
from jobcron.operations.reasons import Cause
from jobcron.queue.claim import Claimant, claim
from jobcron.queue.feed import feed_for
from jobcron.queue.loading import FeedOrder
from jobcron.queue.views import SourceView
from jobcron.scripts.locks.holders import lock_file
from jobcron.scripts.locks.lock import RunLock
from jobcron.testing import JobFactory, use_session

W, R, C, F, S, X, E, B = JobStatus

NOW = datetime.now(UTC)
PAST, FUTURE = NOW - timedelta(hours=1), NOW + timedelta(hours=1)

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def application() -> None:
    """Register the job classes."""
    fooapp.register()


def planned(instance: Instance, section: str = "act", limit: int = 1000, user: str | None = None) -> Plan:
    """Return a section's plan, made over a connection that only reads."""
    settings = load_settings(str(instance.path))
    database = Database(instance.url, user)
    try:
        with database.begin(writing=False) as connection:
            return plan_section(connection, settings, settings.section(section), limit=limit)
    finally:
        database.close()


def steps(plan: Plan) -> list[tuple[Step, int]]:
    """Return what is done with which jobs."""
    return [(job.step, job.id) for job in plan.jobs]


def in_all_states(instance: Instance, seed: int) -> None:
    """Commit a job in each state that a claim, a takeover or an expiry looks at, in a random order."""
    chance = random.Random(seed)
    values: list[dict[str, Any]] = []
    for status, start, lease, expiry, crashes in itertools.product(
        (W, R, S, F), (PAST, FUTURE), (None, PAST, FUTURE), (None, PAST, FUTURE), (0, 1, 3)
    ):
        if status is R and lease is None:
            continue  # the database refuses it
        values.append(
            {
                "status": status,
                "scheduled_start": start + timedelta(minutes=chance.randint(-9, 9)),
                "lease_expires": lease,
                "expires_at": expiry,
                "crash_count": crashes,
                "priority": chance.randint(9, 11),
            }
        )
        if status is R:  # some were claimed together
            batch = chance.randint(1, 12)
            values[-1] |= {"claimed_by": f"host:{batch}/x", "date_started": PAST + timedelta(minutes=batch)}
    chance.shuffle(values)
    with instance.session() as session:
        factory = JobFactory(session)
        for one in values:
            factory.makeJob(type_name="foo_job.ACT", **one)


def done(instance: Instance) -> Iterator[tuple[Step, int]]:
    """Let the real feed of a run hand out all its jobs, and yield what it did with which."""
    log = logging.getLogger("test of plans")
    order = FeedOrder(SourceView(fooapp.ActJob), instance.database, Claimant("me:1/x", 600.0), 100, 3, log)
    feed = feed_for(order)
    with instance.database.session() as session:
        while entries := feed.take(session, lambda: False):
            for entry in entries:
                (row,) = instance.query("SELECT crash_count FROM jobcron_job WHERE id = :id", id=entry.claim.id)
                kind = [k for k in instance.events(entry.claim.id) if k == "taken over"]
                step = Step.FAIL if row[0] >= 3 else Step.TAKE_OVER if kind else Step.RUN
                yield step, entry.claim.id
            feed.took(0.001)


@pytest.mark.feature("N-07")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_plan_names_exactly_what_a_run_then_does_in_its_order(instance: Instance, seed: int) -> None:
    in_all_states(instance, seed)
    before = instance.query("SELECT * FROM jobcron_job ORDER BY id")
    plan = planned(instance)
    assert instance.query("SELECT * FROM jobcron_job ORDER BY id") == before
    assert instance.query("SELECT * FROM jobcron_event") == []
    really = list(done(instance))
    expired = {number for (number,) in instance.query("SELECT id FROM jobcron_job WHERE status = 6")}
    assert [one for one in steps(plan) if one[0] not in (Step.EXPIRE, Step.PUT_BACK)] == really
    ends = {step: {job.id for job in plan.jobs if job.step is step} for step in Step}
    assert ends[Step.EXPIRE] <= expired <= ends[Step.EXPIRE] | ends[Step.PUT_BACK]
    assert plan.is_complete
    kinds = {Step.EXPIRE, Step.PUT_BACK, Step.TAKE_OVER, Step.FAIL, Step.RUN}
    assert {step for step in Step if ends[step]} == kinds


def test_the_jobs_run_in_the_planned_order(instance: Instance, tmp_path: Path) -> None:
    path = str(tmp_path / "order")
    for priority in (11, 9, 10, 10, 12, 9):
        instance.act(("touch", path), priority=priority)
    plan = planned(instance)
    instance.run("act")
    ran = [int(line.split()[1]) for line in Path(path).read_text().splitlines()]
    assert ran == [job.id for job in plan.jobs] == [2, 6, 3, 4, 1, 5]


def test_a_plan_of_jobs_in_channels_names_those_that_the_run_then_starts(instance: Instance) -> None:
    limit(instance, "root.one", capacity=1)
    limit(instance, "root.shut", capacity=0)
    limit(instance, "root.slow", throttle=3, period=3600.0)
    limit(instance, "root.slow.slower", throttle=1, period=3600.0)
    limit(instance, "root.kept", sequential="channel")
    channels = (None, "root.one", "root.shut", "root.slow", "root.slow.slower", "root.kept", "root.free")
    jobs = [instance.act(channel=name) for _ in range(3) for name in channels]
    names = dict(zip(jobs, channels * 3, strict=True))
    plan = planned(instance)
    taken = [job.id for job in plan.jobs if job.step is Step.RUN]
    left = {job.id: job.why for job in plan.jobs if job.step is Step.PASS_OVER}
    instance.run("act")
    started = sorted(job for job in jobs if instance.row(job).attempt_count)
    assert sorted(taken) == started
    assert Counter(names[job] for job in taken) == {
        None: 3, "root.one": 3, "root.slow": 2, "root.slow.slower": 1, "root.kept": 3, "root.free": 3,
    }  # fmt: skip
    assert {names[job] for job in left} == {"root.slow", "root.slow.slower"}
    assert set(left.values()) == {"channel root.slow is full by then: 3 start within 3600 s"}


def test_a_plan_is_bounded_and_says_so(instance: Instance) -> None:
    numbers = [instance.act() for _ in range(4)]
    plan = planned(instance, limit=3)
    assert (steps(plan), plan.is_complete) == ([(Step.RUN, number) for number in numbers[:3]], False)
    assert planned(instance, limit=4).is_complete


def test_the_limits_of_a_run_are_told(instance: Instance) -> None:
    instance.configure(
        sections=SECTIONS.replace("IActJobSource\n", "IActJobSource\nmax_runtime: 10s\nbatch_size: 7\n")
    )
    instance.act(("sleep", 0.01))
    instance.run("act")
    instance.query("UPDATE jobcron_run SET date_started = :then", then="2026-01-01 00:00:00.000000")
    instance.query("UPDATE jobcron_run SET date_completed = :then", then="2026-01-01 00:00:04.000000")
    plan = planned(instance)
    assert (plan.max_runtime, plan.typical_seconds, plan.expected, plan.batch_size) == (10.0, 4.0, 2, 7)
    assert (plan.source, plan.runner, plan.crash_limit) == ("fooapp.ActJob", "JobRunner", 3)


def test_jobs_of_runs_that_are_known_to_be_over_are_taken_over_before_their_leases_end(instance: Instance) -> None:
    number = instance.act()
    settings = load_settings(str(instance.path))
    lock = RunLock(settings.lock_dir, "act")
    lock.acquire()
    name = lock.claims()
    assert name is not None
    with instance.session() as session:
        row = session.get_one(Job, number)
        assert claim(session.connection(), row.type_id, 1, Claimant(name, 600.0))
    assert steps(planned(instance)) == []
    path = Path(lock_file(settings.lock_dir, "act"))
    path.write_text(path.read_text().replace(f":{os.getpid()}/", ":4194999/"))
    instance.query("UPDATE jobcron_job SET claimed_by = :name", name=name.replace(f":{os.getpid()}/", ":4194999/"))
    plan = planned(instance)
    assert steps(plan) == [(Step.TAKE_OVER, number)]
    assert plan.jobs[0].why is not None
    assert plan.jobs[0].why.startswith("its process is gone, held by ")
    assert [one.cause for one in plan.obstacles] == [Cause.LOCK_HELD]
    assert not plan.is_blocked
    lock.release()


def test_what_keeps_the_section_from_running_is_told(instance: Instance) -> None:
    control = instance.path / "control.ini"
    control.write_text("[act]\nenabled: false\n")
    instance.run("act")
    instance.configure(f"cron_control: {control}")
    instance.act()
    plan = planned(instance)
    assert plan.is_blocked
    assert [one.cause for one in plan.obstacles] == [Cause.SWITCHED_OFF]
    assert len(plan.jobs) == 1  # it says what the run would do all the same


@on_postgresql
def test_a_row_that_another_session_has_locked_is_passed_over(instance: Instance) -> None:
    first, second = instance.act(), instance.act()
    with instance.database.engine.begin() as other:
        other.execute(text("SELECT 1 FROM jobcron_job WHERE id = :id FOR UPDATE"), {"id": first})
        plan = planned(instance)
        assert steps(plan) == [(Step.PASS_OVER, first), (Step.RUN, second)]
        assert "its row is locked: process " in (plan.jobs[0].why or "")
        assert steps(planned(instance, user="foo_watcher"))[0] == (Step.PASS_OVER, first)
    assert steps(planned(instance, user="foo_watcher")) == [(Step.RUN, first), (Step.RUN, second)]


def test_a_job_that_had_not_begun_is_superseded_by_its_twin(instance: Instance) -> None:
    head, key = instance.act(), instance.act(unique_key="7")
    with instance.session() as session:
        row = session.get_one(Job, head)
        assert len(claim(session.connection(), row.type_id, 2, Claimant("a:1/x", 600.0))) == 2
    instance.query("UPDATE jobcron_job SET unique_key = NULL WHERE id = :id", id=key)
    twin = instance.act(unique_key="7")
    data = "UPDATE jobcron_job SET json_data = (SELECT json_data FROM jobcron_job AS o WHERE o.id = :twin)"
    instance.query(f"{data} WHERE id = :id", id=key, twin=twin)
    instance.query("UPDATE foo_job SET foo_id = (SELECT min(foo_id) FROM foo_job)")
    instance.query("UPDATE jobcron_job SET unique_key = '7' WHERE id = :id", id=key)
    for number in (head, key):
        instance.end_lease(number)
    plan = planned(instance)
    assert steps(plan)[0] == (Step.TAKE_OVER, head)
    assert (Step.SUPERSEDE, key) in steps(plan)
    if instance.database.dialect == "postgresql":
        settings = load_settings(str(instance.path))
        with instance.database.engine.connect() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))  # as all are at a standby
            assert steps(plan_section(connection, settings, settings.section("act"))) == steps(plan)
    instance.run("act")
    assert instance.row(key).status is JobStatus.CANCELLED


@pytest.mark.parametrize("section", ["own_ready", "handmade"])
def test_a_source_that_decides_by_itself_is_asked(instance: Instance, section: str) -> None:
    source: Any = {"own_ready": fooapp.OwnReadyJob, "handmade": fooapp.handmade_source}[section]
    with instance.session() as session, use_session(session):
        for _ in range(3):
            source.create(instance.foo(session))
    plan = planned(instance, section)
    assert plan.decides
    assert {job.step for job in plan.jobs} == {Step.RUN}
    ready = [job.id for job in plan.jobs]
    instance.run(section)
    assert {number for (number,) in instance.query("SELECT id FROM jobcron_job WHERE status = 2")} == set(ready)
    assert len(ready) == 3
