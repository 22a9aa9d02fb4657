"""The promise of `acquire`: each committed change is followed by a run that sees it, or is told.

For every kind of job, under callers in fresh processes that commit, roll back and nest, that ask for due times, an
expiry or other arguments, beside runs that are stopped in the middle of a job and an operator who suspends jobs.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import and_, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from acquireapp import HELD, HELD_VARIABLE, KINDS, RUN_SECONDS, SECTIONS, Base, Changed, Seen, Thing, make_things
from acquirers import change
from fork_server import Forked
from instances import Instance, fork_server, wait_until
from jobcron import DatabaseUnavailable, Job, JobStatus
from jobcron.database.tables import Event
from jobcron.operations.acts import Refusal, act_on_jobs, resume, suspend
from proving import HERE, IS_CHAOS

CALLERS, THINGS = (8, 2000) if IS_CHAOS else (2, 36)

PAUSE_SECONDS = 1.0
"""How long runs are left alone, at most."""


@pytest.fixture
def things(instance: Instance) -> Instance:
    """Return an instance of the application, whose runs do not wait for a job when they are stopped."""
    instance.configure("grace_seconds: 0s", sections=SECTIONS)
    path = instance.path / "jobcron.conf"
    path.write_text(path.read_text().replace("fooapp:register", "acquireapp"))
    Base.metadata.create_all(instance.database.engine)
    with instance.session() as session:
        make_things(session, THINGS)
    return instance


@pytest.mark.timeout(7200 if IS_CHAOS else 300)
@pytest.mark.feature("LP-09")
def test_each_committed_change_is_followed_by_a_run_that_sees_it(things: Instance, tmp_path: Path) -> None:
    seed = os.environ.get("ACQUIRE_SEED", str(random.randrange(10**6)))
    print(f"ACQUIRE_SEED={seed}")  # the order of the processes differs all the same
    program = [sys.executable, str(HERE / "acquirers.py"), things.url]
    worker = start_worker(things, tmp_path)
    callers = [subprocess.Popen([*program, f"{seed}-{number}", str(THINGS)]) for number in range(CALLERS)]
    try:
        while any(caller.poll() is None for caller in callers):
            time.sleep(random.random() * PAUSE_SECONDS)
            act_as_operator(things)
            if has_running(things):
                time.sleep(random.random() * RUN_SECONDS)
                worker.send_signal(signal.SIGTERM)
            if worker.poll() is not None:  # it was between two runs
                worker = start_worker(things, tmp_path)
        (tmp_path / "stop").touch()
        assert worker.wait(120) in (0, -signal.SIGTERM)
    finally:
        worker.kill()
        for caller in callers:
            caller.kill()
    assert [caller.wait() for caller in callers] == [0] * CALLERS
    judge(things, tmp_path)
    with things.session() as session:
        assert (session.scalar(select(func.sum(Thing.version))) or 0) > CALLERS * THINGS


@pytest.mark.feature("LP-09")
def test_a_run_that_is_stopped_in_the_middle_of_a_job_loses_no_change_before_or_meanwhile(
    things: Instance, tmp_path: Path
) -> None:
    numbers = range(HELD, HELD + 2 * len(KINDS))
    changed_again = numbers[: len(KINDS)]
    jobs = dict(zip(numbers, [change_thing(things, number) for number in numbers], strict=True))
    worker = start_worker(things, tmp_path)
    try:
        # After a stop comes the next section, and in each the jobs in their order.
        for number in sorted(numbers, key=lambda number: (number not in changed_again, number % len(KINDS))):
            wait_until((tmp_path / str(number)).exists, f"the job about thing {number} to be in its middle", 60)
            assert things.row(jobs[number]).status is JobStatus.RUNNING
            if number in changed_again:
                assert change_thing(things, number) != jobs[number], "a job that had begun was acquired"
            worker.send_signal(signal.SIGTERM)
            wait_until(partial(was_interrupted, things, jobs[number]), "the job to be interrupted", 60)
        (tmp_path / "stop").touch()
        assert worker.wait(120) in (0, -signal.SIGTERM)
    finally:
        worker.kill()
    judge(things, tmp_path)
    with things.session() as session:
        seen = {row.thing: row.version for row in session.scalars(select(Seen).where(Seen.thing >= HELD))}
    assert seen == {number: 1 + (number in changed_again) for number in numbers}


def change_thing(things: Instance, number: int) -> int:
    """Change a thing, and acquire its job, in one transaction; return the job's number."""
    with things.session() as session:
        change(session, session.get_one(Thing, number), 0.1, is_acquired_first=bool(number % 2))
        uuid = select(Changed.uuid).where(Changed.thing == number).order_by(Changed.version.desc()).limit(1)
        return session.scalars(select(Job.id).where(Job.uuid == uuid.scalar_subquery())).one()


def was_interrupted(things: Instance, job: int) -> bool:
    """Return whether a job was put back in the middle, or has made way for the one that was acquired meanwhile."""
    said = things.query("SELECT kind, detail FROM jobcron_event WHERE job = :job", job=job)
    return any(kind == "interrupted" or str(detail).startswith("interrupted") for kind, detail in said)


def act_as_operator(things: Instance) -> None:
    """Resume the jobs that are suspended, and suspend some that wait."""
    free = "FOR UPDATE SKIP LOCKED" if things.database.dialect == "postgresql" else ""
    some = text(f"SELECT id FROM jobcron_job WHERE status = 0 ORDER BY random() LIMIT 2 {free}")
    with suppress(DBAPIError, DatabaseUnavailable):  # on SQLite callers and runs may be in its way
        resume_all(things)
        with things.database.begin() as connection:
            act_on_jobs(connection, suspend(), list(connection.scalars(some)))


def resume_all(things: Instance) -> tuple[Refusal, ...]:
    """Resume the jobs that are suspended; return those that are not: a caller may have locked them."""
    with things.database.begin() as connection:
        numbers = list(connection.scalars(text("SELECT id FROM jobcron_job WHERE status = 4")))
        return act_on_jobs(connection, resume(), numbers).refused


def start_worker(things: Instance, folder: Path) -> Forked:
    """Start what runs all sections in turn."""
    arguments = [str(things.path), str(folder / "stop"), str(folder / "resources"), *KINDS]
    with (folder / "worker.log").open("a") as log:
        environment = {**os.environ, HELD_VARIABLE: str(folder)}
        return fork_server().start(HERE / "worker.py", arguments, environment, None, 1, log.fileno())


def has_running(things: Instance) -> bool:
    """Return whether a job runs."""
    with things.database.session(writing=False) as session:
        return session.scalar(select(Job.id).where(Job._status == JobStatus.RUNNING).limit(1)) is not None


def judge(things: Instance, folder: Path) -> None:
    """Let all runs end that are due, and look for changes that nobody has seen, and of which nobody was told."""
    assert not resume_all(things)
    for section in KINDS:
        things.make_due()
        things.command("run", section, extra_env={HELD_VARIABLE: str(folder)})
    with things.session() as session:
        undone = (JobStatus.WAITING, JobStatus.RUNNING, JobStatus.SUSPENDED, JobStatus.FAILED)
        assert list(session.scalars(select(Job.id).where(Job._status.in_(undone)))) == []
        lost = select(Changed.uuid).where(Changed.uuid.not_in(select(Job.uuid)))
        assert list(session.scalars(lost)) == []
        assert unseen(session) == []
        assert superseded_by_nothing(session) == []


def unseen(session: Session) -> list[tuple[int, int, str]]:
    """Return the committed changes that no run has seen, but for those whose job is told to have expired."""
    told = select(Event.id).where(
        Event.job_id == Job.id, Event.kind == "expired", Job._status == JobStatus.EXPIRED
    )
    late = (
        select(Changed.thing, Changed.version, Thing.kind)
        .join(Seen, Seen.thing == Changed.thing)
        .join(Thing, Thing.id == Changed.thing)
        .join(Job, Job.uuid == Changed.uuid)
        .where(Seen.version < Changed.version, ~and_(Job._status == JobStatus.EXPIRED, told.exists()))
    )
    return [(thing, version, kind) for thing, version, kind in session.execute(late)]


def superseded_by_nothing(session: Session) -> list[int]:
    """Return the jobs that made way for another one, though none with their key and arguments was run."""
    rows = list(session.scalars(select(Job)))
    done = [(row.type_id, row.unique_key, row.json_data) for row in rows if row.status is JobStatus.COMPLETED]
    away = (row for row in rows if row.status is JobStatus.CANCELLED)
    return [row.id for row in away if (row.type_id, row.unique_key, row.json_data) not in done]
