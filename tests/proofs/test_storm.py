"""The storm: jobs, and meanwhile SIGKILL, SIGSTOP past the lease, terminated backends, immediate restarts.

There is a crew as well: `jobcron worker` with two processes. One of these is killed, or the supervisor.
Runs are asked to stop, by SIGTERM and SIGHUP. An operator suspends jobs and resumes them. Some jobs are due a
little later, or expire. Some are in channels with limits, or wait for others. One of the workers is of an old
release of the application, which lacks an argument, a function and a task that some of the jobs name.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fork_server import Forked
from instances import fork_server
from jobcron import DatabaseUnavailable
from jobcron.operations.acts import act_on_jobs, resume, suspend
from jobcron.testing.server import PrivatePostgreSQL
from paths import JOBCRON
from proofapp import LEASE_VARIABLE, RELEASE_VARIABLE
from proving import HERE, IS_CHAOS, Proof

LEASE_SECONDS = 2.0

RELEASES = ("new", "old")
"""Of the workers."""

OFTEN = ("ledger",) * 12 + ("bank",) * 4 + ("transfer",) * 2

CLASSES = (*OFTEN, "checkpoint", "failing", "user", "retried", "slow", "unique")

TOGETHER = (
    ("grouped_ledger",) * 12 + ("grouped_bank",) * 2 + ("grouped_failing", "grouped_retried", "grouped_unique")
)

OTHERS = ("function",) * 2 + ("function_retried", "function_failing", "function_unique", "steps", *TOGETHER)

IN_CHANNELS = (
    *("limited_ledger",) * 2, "limited_slow", "limited_transfer", "ordered_ledger", "ordered_retried",
    "chained_ledger", "chained_bank",
)  # fmt: skip

OF_NEW_RELEASE = ("fresh",) * 3 + ("function_fresh", "steps_fresh")

KINDS = CLASSES + OTHERS + IN_CHANNELS + OF_NEW_RELEASE

DUE_LATER = ("ledger", "checkpoint")

EXPIRING = ("ledger",) * 3

TIMED = len(DUE_LATER) + len(EXPIRING)

WORK_SECONDS = 10.0
"""How long a kill waits for a worker that has begun a job: else most would hit one that is only starting."""

STUCK_SECONDS = 90.0
"""So long no job ends only if all that are left are stuck."""

JOBS = int(os.environ.get("STORM_JOBS", 100_000 if IS_CHAOS else 1_500))
KILLS = 1_000 if IS_CHAOS else 12
CREW_KILLS = 500 if IS_CHAOS else 8
STOPS = 50 if IS_CHAOS else 2
SIGNALS = 500 if IS_CHAOS else 6
ACTS = 200 if IS_CHAOS else 6
TERMINATIONS = 1_000 if IS_CHAOS else 20
RESTARTS = 100 if IS_CHAOS else 2
POISON = 10 if IS_CHAOS else 2


class Storm:
    """Workers, each of a host of its own, and what happens to them.

    Args:
        proof: whose jobs.
        seed: of the chances.
    """

    def __init__(self, proof: Proof, seed: int) -> None:
        self.proof = proof
        self.chance = random.Random(seed)
        self.stop = proof.path / "stop"
        self.resources = proof.path / "resources"
        self.instances = [proof.instance(f"host-{release}") for release in RELEASES]
        self.log = (proof.path / "workers.log").open("a")
        self.journal = proof.state / "journal"
        self.journal.touch(mode=0o600)
        self.workers = [self.start(number) for number in range(len(RELEASES))]
        self.crew_instance = proof.instance("host-of-crew")
        self.crew = self.start_crew()
        self.read_from = [0] * len(RELEASES)
        self.happened: Counter[str] = Counter()

    def start(self, number: int) -> Forked:
        """Start a worker."""
        arguments = (str(self.instances[number]), str(self.stop), str(self.resources))
        return self.forked(HERE / "worker.py", *arguments, **{RELEASE_VARIABLE: RELEASES[number]})

    def start_crew(self) -> Forked:
        """Start a supervisor with two processes."""
        options = ("--processes", "2", "--poll", "0.1", "-q")
        return self.forked(JOBCRON, "worker", *options, JOBCRON_CONFIG=str(self.crew_instance))

    def forked(self, script: Path, *arguments: str, **variables: str) -> Forked:
        """Start a script whose jobs have short leases."""
        environment = {**os.environ, LEASE_VARIABLE: str(LEASE_SECONDS), **variables}
        assert fork_server().suits(environment)
        return fork_server().start(script, arguments, environment, None, 1, self.log.fileno())

    def kill(self) -> None:
        """Kill a worker that has begun a job since it was started, and start it again."""
        number = self.chance.randrange(len(RELEASES))
        deadline = time.monotonic() + WORK_SECONDS
        while time.monotonic() < deadline and not self.has_worked(number):
            time.sleep(0.02)
        time.sleep(self.chance.uniform(0, 0.1))
        self.happened["a worker at work killed"] += self.has_worked(number)
        self.read_from[number] = self.journal.stat().st_size
        self.workers[number].kill()
        self.workers[number].wait()
        self.workers[number] = self.start(number)

    def kill_of_crew(self) -> None:
        """Kill one of the crew's processes, or its supervisor; that is started again while its processes leave."""
        deadline = time.monotonic() + WORK_SECONDS
        while self.crew.poll() is None:  # else its number may be somebody else's by now
            processes = children_of(self.crew.pid)
            if not processes and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            victim = self.chance.choice([self.crew.pid, *processes])
            what = "the supervisor" if victim == self.crew.pid else "a process of the crew"
            with suppress(ProcessLookupError):  # it has just left
                os.kill(victim, signal.SIGKILL)
                self.happened[f"{what} killed"] += 1
            break

    def has_worked(self, number: int) -> bool:
        """Tell whether a worker has begun a job since the last one of its place was killed."""
        with self.journal.open("rb") as journal:
            journal.seek(self.read_from[number])
            return f" {self.workers[number].pid} ".encode() in journal.read()

    def pause(self) -> None:
        """Stop a worker for longer than its lease, as a machine that swaps or sleeps; then let it go on."""
        worker = self.chance.choice(self.workers)
        worker.send_signal(signal.SIGSTOP)
        time.sleep(LEASE_SECONDS * 1.5)
        worker.send_signal(signal.SIGCONT)

    def ask(self) -> None:
        """Ask a worker to stop: a run puts its jobs back; between two runs the worker ends."""
        worker = self.chance.choice(self.workers)
        worker.send_signal(self.chance.choice((signal.SIGTERM, signal.SIGHUP)))

    def act(self) -> None:
        """Resume what was suspended, and suspend jobs that wait, as an operator does: first such as were tried."""
        self.resume()
        free = "FOR UPDATE SKIP LOCKED" if self.proof.database.dialect == "postgresql" else ""
        # One with a key could not be resumed if another one with that key has come meanwhile.
        some = "SELECT id FROM jobcron_job WHERE status = 0 AND unique_key IS NULL"
        some += " ORDER BY lease_token = 0, random() LIMIT 20"
        with self.proof.database.begin() as connection:
            act_on_jobs(connection, suspend(), list(connection.scalars(text(f"{some} {free}"))))

    def resume(self) -> list[int]:
        """Resume what is suspended, and return its numbers."""
        numbers = [number for (number,) in self.proof.query("SELECT id FROM jobcron_job WHERE status = 4")]
        with self.proof.database.begin() as connection:
            act_on_jobs(connection, resume(), numbers)
        return numbers

    def revive(self) -> None:
        """Start again whatever ended by itself: poison jobs kill their process."""
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.happened[f"ended by {worker.returncode}"] += 1
                self.workers[number] = self.start(number)
        if self.crew.poll() is not None:
            self.happened[f"the crew ended by {self.crew.returncode}"] += 1
            self.crew = self.start_crew()

    def end(self) -> None:
        """Let the workers end by themselves."""
        self.stop.touch()
        self.crew.terminate()
        for worker in (*self.workers, self.crew):
            with suppress(subprocess.TimeoutExpired):
                worker.wait(60)
            worker.kill()
            worker.wait()
        self.log.close()


def rage(storm: Storm, misfortunes: dict[str, tuple[int, Callable[[], None]]]) -> list[int]:
    """Make the jobs, spread over the misfortunes; return the jobs' numbers."""
    calendar = [what for what, (times, _) in misfortunes.items() for _ in range(times)]
    storm.chance.shuffle(calendar)
    portion = JOBS // (len(calendar) + 1) - TIMED
    for what in [*calendar, None]:
        kinds = [storm.chance.choice(KINDS) for _ in range(portion)]
        persistently(lambda kinds=kinds: storm.proof.make(kinds))  # type: ignore[misc]
        persistently(lambda: make_timed(storm))
        time.sleep(storm.chance.uniform(0, 0.25))
        if what is not None:
            with suppress(DBAPIError, DatabaseUnavailable):  # the storm has hit an operator
                misfortunes[what][1]()
                storm.happened[what] += 1
        storm.revive()
    return persistently(lambda: storm.proof.make(["poison"] * POISON))


def make_timed(storm: Storm) -> list[int]:
    """Make jobs that are due a little later, and some that expire."""
    later, soon = (datetime.now(UTC) + timedelta(seconds=storm.chance.uniform(0, most)) for most in (1.5, 3.0))
    due = storm.proof.make(DUE_LATER, scheduled_start=later)
    return due + storm.proof.make(EXPIRING, expires_at=soon + timedelta(seconds=0.1))


def persistently(work: Callable[[], list[int]]) -> list[int]:
    """Do something in the database, again where the storm has hit it."""
    for _ in range(100):
        try:
            return work()
        except (DBAPIError, DatabaseUnavailable):
            time.sleep(0.2)
    raise AssertionError("the database is gone")


def calm_down(storm: Storm) -> float:
    """Wait until nothing is left to do; return how long it took, in seconds.

    Raises:
        AssertionError: for a long time not one job has ended. How long all take says only how busy the machine is.
    """
    persistently(storm.resume)
    started = ended = time.monotonic()
    fewest = sys.maxsize
    while time.monotonic() < ended + STUCK_SECONDS:
        storm.revive()
        with suppress(DBAPIError, DatabaseUnavailable):
            storm.proof.hurry()  # retries and interruptions wait; that is not what is proven here
            storm.proof.pass_over()
            left = storm.proof.count_left()
            if not left:
                return time.monotonic() - started
            if left < fewest:
                fewest, ended = left, time.monotonic()
        time.sleep(0.2)
    numbers = [
        number for (number,) in storm.proof.query("SELECT id FROM jobcron_job WHERE status IN (0, 1) LIMIT 3")
    ]
    stories = "\n".join(map(storm.proof.story, numbers))
    raise AssertionError(f"{fewest} jobs are left, and for {STUCK_SECONDS:g} seconds none has ended:\n{stories}")


def children_of(pid: int) -> list[int]:
    """Return the numbers of a process's children."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []  # it has ended


def resources_are_bounded(path: Path) -> list[str]:
    """I11: in no worker's life do descriptors, threads or memory grow."""
    lives: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
    for line in path.read_text().splitlines() if path.exists() else ():
        process, *numbers = line.split()
        lives[process].append(tuple(map(int, numbers)))
    found = []
    for process, notes in lives.items():
        descriptors, memory, threads = zip(*notes, strict=True)
        if max(descriptors) > min(descriptors) + 8 or max(threads) > 3:
            found.append(f"worker {process}: descriptors {descriptors}, threads {threads}")
        half = len(memory) // 2
        if half >= 10 and max(memory[half:]) > max(memory[:half]) * 1.25:
            found.append(f"worker {process}: kilobytes {memory}")
    return found


@pytest.mark.feature("LP-01", "LP-18", "LP-19", "LP-21", "LP-23")
@pytest.mark.timeout(20_000 if IS_CHAOS else 600)
def test_a_storm_loses_nothing_and_doubles_nothing(proof: Proof, request: pytest.FixtureRequest) -> None:
    seed = int(os.environ.get("JOBCRON_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}: replay with JOBCRON_SEED={seed}")
    storm = Storm(proof, seed)
    misfortunes: dict[str, tuple[int, Callable[[], None]]] = {
        "kill": (KILLS, storm.kill),
        "pause": (STOPS, storm.pause),
        "kill of the crew": (CREW_KILLS, storm.kill_of_crew),
        "signal": (SIGNALS, storm.ask),
        "act": (ACTS, storm.act),
    }
    if proof.database.dialect == "postgresql":
        server: PrivatePostgreSQL = request.getfixturevalue("server")
        misfortunes["termination"] = (TERMINATIONS, lambda: terminate(proof))
        misfortunes["restart"] = (RESTARTS, lambda: server.restart("immediate"))
    try:
        rage(storm, misfortunes)
        recovered = calm_down(storm)
    finally:
        storm.end()
    print(f"{dict(storm.happened)}; all done {recovered:.1f} s after the last job was made")
    found = proof.verdict(lease_seconds=LEASE_SECONDS) + resources_are_bounded(storm.resources)
    tell_stories(proof, found)
    assert found == [], "\n".join(found[:20])
    assert "\nold " in storm.journal.read_text(), "the old release has begun nothing"
    waited = proof.query("SELECT count(*) FROM jobcron_event WHERE kind = 'waits for code'")
    assert waited > [(0,)], "the old release never met a job of the new one"


def tell_stories(proof: Proof, found: list[str]) -> None:
    """Print what is known of the first jobs with which something is wrong."""
    numbers = [int(match[1]) for violation in found if (match := re.search(r": job (\d+)", violation))]
    for number in list(dict.fromkeys(numbers))[:5]:
        print(proof.story(number))


def terminate(proof: Proof) -> None:
    """End a connection of some worker, or of whoever makes jobs."""
    with suppress(DBAPIError, DatabaseUnavailable, psycopg2.Error):
        proof.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
        )
