"""`why` says runnable exactly when a claim takes the job, also in channels, and behind other jobs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

import fooapp
from instances import SECTIONS, Instance
from jobcron import Job, JobStatus, load_settings
from jobcron.database.tables import ChannelRow, EdgeRow, StartRow, jobs_connection
from jobcron.jobs.moves.channels import set_limits
from jobcron.jobs.moves.pauses import Pause, Scope, write_pause
from jobcron.operations.reasons import Cause
from jobcron.operations.why import explain_job
from jobcron.queue.claim import Claimant, claim, hold_channels, reclaim
from jobcron.testing import JobFactory

W, R, C, F, S, X, E, B = JobStatus

NOW = datetime.now(UTC)
PAST, FUTURE = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
ME = Claimant("me:1", 60)

OPEN = ("root.free", "root.room", "root.room.below", "root.keyed", "root.rested", "root.resumed")
SHUT = ("root.full", "root.full.below", "root.fuller", "root.tired", "root.paused", "root.paused.below")


def limited(session: Session) -> None:
    """Set limits, and let jobs of another type run, so that channels are shut for each possible reason."""
    connection, factory = jobs_connection(session), JobFactory(session)
    set_limits(connection, "root.room", "ada", {"capacity": 2})
    set_limits(connection, "root.full", "ada", {"capacity": 1})
    set_limits(connection, "root.keyed", "ada", {"per_key": 1})
    set_limits(connection, "root.tired", "ada", {"throttle": 1, "period": 7200.0})
    set_limits(connection, "root.rested", "ada", {"throttle": 1, "period": 60.0})
    set_limits(connection, "root.fuller", "ada", {"capacity": 0})
    for channel, key in (("root.room.below", ""), ("root.full.other", ""), ("root.keyed", "a")):
        factory.makeJob(R, "occupying.TYPE", lease_expires=FUTURE, channel=channel, channel_key=key)
    factory.makeJob(R, "occupying.TYPE", lease_expires=PAST, channel="root.room.below")  # it takes up no place
    session.add_all(
        StartRow(channel=name, at=PAST + timedelta(minutes=1)) for name in ("root.tired", "root.rested")
    )
    session.flush()
    write_pause(connection, Pause(Scope.CHANNEL, "root.paused", "ada", None, NOW, None))
    write_pause(connection, Pause(Scope.CHANNEL, "root.resumed", "ada", None, PAST, PAST))


def in_channels(session: Session) -> Iterator[Job]:
    """Yield a job in each status, channel and state, each of its own type, so that none is in another's way."""
    factory = JobFactory(session)
    states = itertools.product(JobStatus, (None, *OPEN, *SHUT), ("", "a", "b"), (PAST, FUTURE), (None, PAST))
    for number, (status, channel, key, start, lease) in enumerate(states):
        if (status is R and lease is None) or (key and channel != "root.keyed"):
            continue  # the database refuses the one, and the key counts nowhere else
        if status not in (W, R) and (start is FUTURE or lease is PAST or channel not in (None, "root.free")):
            continue  # it makes no difference
        values = {"scheduled_start": start, "lease_expires": lease, "channel": channel, "channel_key": key}
        yield factory.makeJob(status, f"limited.T{number}", **values)


def is_taken(connection: Connection, job: Job) -> bool:
    """Return whether a run would take a job, in whatever way; nothing is changed."""
    with connection.begin_nested() as savepoint:
        held = hold_channels(connection, job.type_id, ME)
        ways: tuple[Callable[[], object], ...] = (
            lambda: reclaim(connection, job.type_id, ME),
            lambda: claim(connection, job.type_id, 10, ME),
            lambda: claim(connection, job.type_id, 10, ME, held),
        )
        found = any(way() for way in ways)
        savepoint.rollback()
    return found


@pytest.mark.feature("N-02", "OCQ-10")
def test_a_job_in_a_channel_is_called_runnable_exactly_when_a_claim_takes_it(session: Session) -> None:
    limited(session)
    jobs, connection = list(in_channels(session)), jobs_connection(session)
    session.flush()
    said = {job.id: explain_job(connection, job.id) for job in jobs}
    wrong = [
        (job.status, job.channel, job.channel_key, job.scheduled_start, said[job.id].reasons)
        for job in jobs
        if said[job.id].is_claimable != is_taken(connection, job)
    ]
    assert wrong == []
    runnable = {job.channel for job in jobs if said[job.id].is_claimable}
    assert runnable == {None, *OPEN}
    keys = {job.channel_key for job in jobs if said[job.id].is_claimable}
    assert keys == {"", "b"}
    full = [job for job in jobs if any(reason.cause is Cause.NO_ROOM for reason in said[job.id].reasons)]
    assert {job.channel for job in full} == {*SHUT, "root.keyed"} - {"root.paused", "root.paused.below"}


@pytest.mark.feature("N-02", "OCQ-10")
def test_a_job_in_the_channel_of_its_section_is_called_runnable_exactly_when_a_claim_takes_it(
    instance: Instance,
) -> None:
    fooapp.register()
    instance.run("act")
    act = "[act]\nsource_interface: fooapp.IActJobSource\n"
    job = instance.act()
    with instance.session() as session:
        limited(session)
        number = session.get_one(Job, job).type_id
    said, taken = set(), set()
    for channel in (*OPEN, *SHUT):
        instance.configure(sections=SECTIONS.replace(act, f"{act}channel: {channel}\n"))
        settings = load_settings(str(instance.path))
        me = ME._replace(section="act", channel=channel)
        with instance.database.begin() as connection, connection.begin_nested() as savepoint:
            said |= {channel} if explain_job(connection, job, settings).is_runnable else set()
            taken |= (
                {channel} if claim(connection, number, 10, me, hold_channels(connection, number, me)) else set()
            )
            savepoint.rollback()
    assert said == taken == set(OPEN)


@pytest.mark.feature("N-02", "OCQ-11")
def test_a_job_that_waits_for_others_is_called_runnable_exactly_when_a_claim_takes_it(session: Session) -> None:
    moves = ((), ("suspend",), ("cancel",), ("start",), ("start", "complete"), ("start", "fail"))
    connection, factory, jobs = jobs_connection(session), JobFactory(session), []
    for number, (one, two, any_end) in enumerate(itertools.product(moves, (None, *moves), (False, True))):
        before = [
            factory.makeJob(W, f"before.T{number}", has_successors=True) for way in (one, two) if way is not None
        ]
        job = factory.makeJob(B, f"waiting.T{number}")
        session.flush()
        session.add_all(EdgeRow(successor_id=job.id, predecessor_id=other.id, any_end=any_end) for other in before)
        session.flush()
        for other, way in zip(before, (one, two), strict=False):
            for move in way or ():
                getattr(other, move)()
                session.flush()
        jobs.append(job)
    session.expire_all()
    said = {job.id: explain_job(connection, job.id) for job in jobs}
    assert [job.id for job in jobs if said[job.id].is_claimable != is_taken(connection, job)] == []
    assert {job.status for job in jobs} >= {W, B}
    runnable = [job for job in jobs if said[job.id].is_claimable]
    assert len(runnable) > 3
    assert all(job.status is W for job in runnable)
    blocked = [said[job.id] for job in jobs if job.status is B]
    assert all(found.reasons[0].cause is Cause.BLOCKED and not found.is_runnable for found in blocked)


def begun(session: Session, job: Job, status: JobStatus) -> None:
    """Let a job have begun, and be in a status since."""
    job.start()
    if status is not R:
        {W: job.queue, S: job.suspend, F: job.fail, C: job.complete, X: job.cancel}[status]()
    session.flush()


BEGUN = {None: (W, X), True: (W, R, S, F, C, X)}
"""The statuses of a job in a channel that keeps its order, by whether it has begun."""


@pytest.mark.feature("N-02", "OCQ-10")
def test_a_job_in_a_channel_that_keeps_its_order_is_called_runnable_exactly_when_a_claim_takes_it(
    session: Session,
) -> None:
    connection, factory = jobs_connection(session), JobFactory(session)
    cases = [
        (mode, status, has_begun, keys, is_dead, is_passed)
        for mode, has_begun, keys, is_dead, is_passed in itertools.product(
            ("channel", "target"), BEGUN, ("aa", "ab", "a "), (False, True), (False, True)
        )
        for status in BEGUN[has_begun]
        if not is_dead or status is R
    ]
    jobs: list[Job] = []
    for number, (mode, status, has_begun, keys, is_dead, is_passed) in enumerate(cases):
        channel = f"root.c{number}"
        set_limits(connection, channel, "ada", {"sequential": mode})
        moment = FUTURE if is_passed else PAST - timedelta(days=1)
        session.get_one(ChannelRow, channel).passed_at = moment
        first, second = (
            factory.makeJob(W, f"{name}.T{number}", channel=channel + end, channel_key=key.strip())
            for name, end, key in zip(("first", "second"), ("", ".below" * (number % 2)), keys, strict=True)
        )
        session.flush()
        if has_begun:
            begun(session, first, status)
        elif status is X:
            first.cancel()
        if status is R:
            first.lease_expires = PAST if is_dead else FUTURE
        session.flush()
        jobs += [first, second]
    said = {job.id: explain_job(connection, job.id) for job in jobs}
    wrong = [
        (cases[number // 2], number % 2, said[job.id].reasons)
        for number, job in enumerate(jobs)
        if said[job.id].is_claimable != is_taken(connection, job)
    ]
    assert wrong == []
    told = [reason.text for found in said.values() for reason in found.reasons if reason.cause is Cause.NO_ROOM]
    ends = ("it is the turn of", r"job \d+ \(.*\) comes first")
    kinds = [f"keeps its order{key}: {end}" for key in ("", r" for the key '\w'") for end in ends]
    assert all(any(re.search(kind, text) for text in told) for kind in kinds)
    assert all(any(re.search(kind, text) for kind in kinds) for text in told)
    assert len({found.is_claimable for found in said.values()}) == 2


def of_each_kind(instance: Instance) -> dict[str, int]:
    """Return jobs of the section act in each state in which a pause matters, and some in which it does not."""
    jobs = {"lacking": instance.act()}
    instance.query("UPDATE jobcron_job SET needs = 'dry_run'")
    instance.run("act")
    instance.make_due()
    jobs |= {name: instance.act(channel=channel) for name, channel in (("plain", None), ("limited", "root.free"))}
    jobs |= {name: instance.act() for name in ("queued", "later", "dead", "held", "suspended")}
    values = {
        "queued": "queue = 'cats'",
        "later": "scheduled_start = :future",
        "dead": "status = 1, lease_token = 1, begun_token = 1, date_started = :past, lease_expires = :past",
        "held": "lease_expires = :future",
        "suspended": "status = 4",
    }
    times = {"past": f"{PAST:%Y-%m-%d %H:%M:%S.%f}", "future": f"{FUTURE:%Y-%m-%d %H:%M:%S.%f}"}
    for name, change in values.items():
        used = {key: value for key, value in times.items() if f":{key}" in change}
        instance.query(f"UPDATE jobcron_job SET {change} WHERE id = :id", id=jobs[name], **used)
    return jobs


PAUSES = (
    (Scope.SECTION, "act"),
    (Scope.TYPE, "foo_job.ACT"),
    (Scope.QUEUE, "default"),
    (Scope.QUEUE, "cats"),
    (Scope.CHANNEL, "root"),
)


@pytest.mark.feature("N-02")
def test_while_anything_or_everything_is_paused_a_job_is_called_runnable_exactly_when_its_section_takes_it(
    instance: Instance,
) -> None:
    fooapp.register()
    instance.run("act")
    settings, jobs, seen = load_settings(str(instance.path)), of_each_kind(instance), set()
    me = ME._replace(section="act")
    with instance.database.begin() as connection:
        number = connection.scalar(select(Job.type_id).where(Job.id == jobs["plain"]))
        assert number is not None
        for chosen in itertools.product((False, True), repeat=len(PAUSES)):
            with connection.begin_nested() as savepoint:
                for (scope, name), is_paused in zip(PAUSES, chosen, strict=True):
                    if is_paused:
                        write_pause(connection, Pause(scope, name, "ada", None, NOW, None))
                said = {name for name, job in jobs.items() if explain_job(connection, job, settings).is_runnable}
                found: set[int] = set()
                while claims := (
                    reclaim(connection, number, me)
                    or claim(connection, number, 100, me)
                    or claim(connection, number, 100, me, hold_channels(connection, number, me))
                ):
                    found |= {one.id for one in claims}
                savepoint.rollback()
            assert said == {name for name, job in jobs.items() if job in found}, chosen
            seen.add(frozenset(said))
    assert frozenset() in seen
    assert {"plain", "limited", "queued", "dead", "lacking"} in seen
