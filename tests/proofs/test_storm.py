"""The storm: jobs, and meanwhile SIGKILL, SIGSTOP past the lease, terminated backends, immediate restarts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.exc import DBAPIError

from fork_server import Forked
from instances import fork_server
from jobcron import DatabaseUnavailable
from jobcron.testing.server import PrivatePostgreSQL
from proofapp import LEASE_VARIABLE
from proving import HERE, IS_CHAOS, Proof

LEASE_SECONDS = 2.0

WORKERS = 2

CLASSES = ("ledger",) * 12 + ("bank",) * 4 + ("checkpoint", "failing", "user", "retried", "slow", "unique")

OTHERS = ("function",) * 2 + ("function_retried", "function_failing", "function_unique", "steps")

KINDS = CLASSES + OTHERS

WORK_SECONDS = 10.0
"""How long a kill waits for a worker that has begun a job: else most would hit one that is only starting."""

JOBS = int(os.environ.get("STORM_JOBS", 100_000 if IS_CHAOS else 2_000))
KILLS = 1_000 if IS_CHAOS else 20
STOPS = 50 if IS_CHAOS else 2
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
        self.instances = [proof.instance(f"host-{number}") for number in range(WORKERS)]
        self.log = (proof.path / "workers.log").open("a")
        self.journal = proof.state / "journal"
        self.journal.touch(mode=0o600)
        self.workers = [self.start(instance) for instance in self.instances]
        self.read_from = [0] * WORKERS
        self.happened: Counter[str] = Counter()

    def start(self, instance: Path) -> Forked:
        """Start a worker."""
        arguments = [str(instance), str(self.stop), str(self.resources)]
        environment = {**os.environ, LEASE_VARIABLE: str(LEASE_SECONDS)}
        assert fork_server().suits(environment)
        return fork_server().start(HERE / "worker.py", arguments, environment, None, 1, self.log.fileno())

    def kill(self) -> None:
        """Kill a worker that has begun a job since it was started, and start it again."""
        number = self.chance.randrange(WORKERS)
        deadline = time.monotonic() + WORK_SECONDS
        while time.monotonic() < deadline and not self.has_worked(number):
            time.sleep(0.02)
        time.sleep(self.chance.uniform(0, 0.1))
        self.happened["a worker at work killed"] += self.has_worked(number)
        self.read_from[number] = self.journal.stat().st_size
        self.workers[number].kill()
        self.workers[number].wait()
        self.workers[number] = self.start(self.instances[number])

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

    def revive(self) -> None:
        """Start again whatever ended by itself: poison jobs kill their process."""
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.happened[f"ended by {worker.returncode}"] += 1
                self.workers[number] = self.start(self.instances[number])

    def end(self) -> None:
        """Let the workers end by themselves."""
        self.stop.touch()
        for worker in self.workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(60)
            worker.kill()
            worker.wait()
        self.log.close()


def rage(storm: Storm, misfortunes: dict[str, tuple[int, Callable[[], None]]]) -> list[int]:
    """Make the jobs, spread over the misfortunes; return the jobs' numbers."""
    calendar = [what for what, (times, _) in misfortunes.items() for _ in range(times)]
    storm.chance.shuffle(calendar)
    portion = JOBS // (len(calendar) + 1)
    for what in [*calendar, None]:
        kinds = [storm.chance.choice(KINDS) for _ in range(portion)]
        persistently(lambda kinds=kinds: storm.proof.make(kinds))  # type: ignore[misc]
        time.sleep(storm.chance.uniform(0, 0.25))
        if what is not None:
            misfortunes[what][1]()
            storm.happened[what] += 1
        storm.revive()
    return persistently(lambda: storm.proof.make(["poison"] * POISON))


def persistently(work: Callable[[], list[int]]) -> list[int]:
    """Do something in the database, again where the storm has hit it."""
    for _ in range(100):
        try:
            return work()
        except (DBAPIError, DatabaseUnavailable):
            time.sleep(0.2)
    raise AssertionError("the database is gone")


def calm_down(storm: Storm) -> float:
    """Wait until nothing is left to do; return how long it took, in seconds."""
    started = time.monotonic()
    limit = JOBS / 20 if IS_CHAOS else 120  # SQLite makes each commit durable, one after the other
    while time.monotonic() - started < limit:
        storm.revive()
        with suppress(DBAPIError, DatabaseUnavailable):
            storm.proof.hurry()  # retries and interruptions wait; that is not what is proven here
            if storm.proof.is_drained():
                return time.monotonic() - started
        time.sleep(0.2)
    raise AssertionError(f"jobs are left after {limit} seconds")


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
@pytest.mark.timeout(20_000 if IS_CHAOS else 400)
def test_a_storm_loses_nothing_and_doubles_nothing(proof: Proof, request: pytest.FixtureRequest) -> None:
    seed = int(os.environ.get("JOBCRON_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}: replay with JOBCRON_SEED={seed}")
    storm = Storm(proof, seed)
    misfortunes: dict[str, tuple[int, Callable[[], None]]] = {
        "kill": (KILLS, storm.kill),
        "pause": (STOPS, storm.pause),
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
    found = proof.verdict() + resources_are_bounded(storm.resources)
    assert found == [], "\n".join(found[:20])


def terminate(proof: Proof) -> None:
    """End a connection of some worker, or of whoever makes jobs."""
    with suppress(DBAPIError, DatabaseUnavailable, psycopg2.Error):
        proof.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
        )
