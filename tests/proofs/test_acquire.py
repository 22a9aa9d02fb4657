"""The promise of `acquire`: each committed change is followed by a run that sees it.

For every kind of job, under callers in fresh processes that commit, roll back and nest, beside runs that are
stopped in the middle of a job.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from acquireapp import KINDS, RUN_SECONDS, SECTIONS, Base, Seen, Thing, make_things
from fork_server import Forked
from instances import Instance, fork_server
from jobcron import Job, JobStatus
from jobcron.database.tables import Event
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
    judge(things)


def start_worker(things: Instance, folder: Path) -> Forked:
    """Start what runs all sections in turn."""
    arguments = [str(things.path), str(folder / "stop"), str(folder / "resources"), *KINDS]
    with (folder / "worker.log").open("a") as log:
        return fork_server().start(HERE / "worker.py", arguments, {**os.environ}, None, 1, log.fileno())


def has_running(things: Instance) -> bool:
    """Return whether a job runs."""
    with things.database.session(writing=False) as session:
        return session.scalar(select(Job.id).where(Job._status == JobStatus.RUNNING).limit(1)) is not None


def judge(things: Instance) -> None:
    """Let all runs end that are due, and look for changes that nobody has seen."""
    for section in KINDS:
        things.make_due()
        things.command("run", section)
    with things.session() as session:
        undone = (JobStatus.WAITING, JobStatus.RUNNING)
        assert list(session.scalars(select(Job.id).where(Job._status.in_(undone)))) == []
        pairs = select(Thing.kind, Thing.id, Thing.version, Seen.version).join(Seen, Seen.thing == Thing.id)
        assert list(session.execute(pairs.where(Seen.version < Thing.version))) == []
        assert (session.scalar(select(func.sum(Thing.version))) or 0) > CALLERS * THINGS
        assert session.scalar(select(Event.id).where(Event.kind == "interrupted").limit(1)) is not None
