"""A model of many runners on one PostgreSQL: ``python -m bench.scale_model`` writes ``bench/scale_results.json``.

Each runner claims a batch, and runs its jobs one after the other: a statement that completes it, and a commit. The
server has so many cores, which statements take in turns, and one log, whose writes commits share: who comes while
it is being written waits for the next write. A claim steps over the rows that others have locked when it begins.
The times are those that `bench.scale_times` has measured; the work of a job, on the runner's side, is a parameter.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

TIMES = Path(__file__).with_name("scale_times.json")


FILE = Path(__file__).with_name("scale_results.json")
RUNNERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
WORKS = (0.0, 10.0, 100.0, 1000.0)
CORES = 16
SYNC_MS = 0.1
"""That of a server's own disk; what was measured here is in the file of times, and is a shared disk's."""

TOGETHER = "first_claims_ms"
"""The key of the times after which all runners have their first batch, if they start at the same moment."""

MODEL_MS = 10_000.0
WARM_UP = 0.25
BATCH_MS = 1000.0
LARGEST_BATCH = 100


@dataclass
class Server:
    """The shared part: cores, and the log.

    Attributes:
        cores: how many.
        sync: how long a write of the log takes, in ms.
    """

    cores: int
    sync: float

    def __post_init__(self) -> None:
        self._free = [0.0] * self.cores
        self._written_at = 0.0
        self._is_next_wanted = False

    def work(self, now: float, cpu: float) -> float:
        """Return when a statement has ended that comes now; the first core that is free takes it."""
        begun = max(now, heapq.heappop(self._free))
        heapq.heappush(self._free, begun + cpu)
        return begun + cpu

    def begins(self, now: float) -> float:
        """Return when a statement begins that comes now."""
        return max(now, self._free[0])

    def commit(self, now: float) -> float:
        """Return when a commit is on disk: with the write that begins next, which others share."""
        while now >= self._written_at and self._is_next_wanted:
            self._written_at, self._is_next_wanted = self._written_at + self.sync, False
        if now >= self._written_at:  # nothing is being written: this is, at once
            self._written_at = now + self.sync
            return self._written_at
        self._is_next_wanted = True
        return self._written_at + self.sync


class Model:
    """Runners that claim and run jobs, of which there are always enough.

    Args:
        times: see `bench.scale_times`.
        runners: how many.
        work: how long a job works on the runner's side, in ms.
        cores: the server's.
        sync: how long a write of its log takes.
    """

    def __init__(self, times: dict[str, float], runners: int, work: float, cores: int, sync: float) -> None:
        self._times, self._runners, self._work = times, runners, work
        self._server = Server(cores, sync)
        self._client = 0.8  # Python's part of a job that does nothing: see docs/performance.md, P1
        self._batch = max(1, min(LARGEST_BATCH, int(BATCH_MS / (self._client + work))))
        self._claims: list[tuple[float, float]] = []
        self._random = Random(1)

    def per_second(self) -> float:
        """Return how many jobs end in a second."""
        events: list[tuple[float, int, Iterator[float]]] = []
        done: list[float] = []
        for number in range(self._runners):
            runner = self._run(self._random.uniform(0, self._work + 10), done)
            heapq.heappush(events, (next(runner), number, runner))
        while events[0][0] < MODEL_MS:
            _, number, runner = events[0]
            heapq.heapreplace(events, (next(runner), number, runner))
        counted = [at for at in done if at >= MODEL_MS * WARM_UP]
        return len(counted) / (MODEL_MS * (1 - WARM_UP) / 1000)

    def _run(self, now: float, done: list[float]) -> Iterator[float]:
        yield now
        left = self._random.randint(1, self._batch)  # each is somewhere in its batch
        while True:
            for _ in range(left):
                yield (now := now + self._client + self._work * self._random.uniform(0.5, 1.5))
                yield (now := self._server.work(now, self._times["job_server_cpu"] * self._part_of_job()))
                yield (now := self._server.commit(now))
                done.append(now)
            left = self._batch
            yield (now := self._claim(now))
            yield (now := self._server.commit(now))

    def first_claims(self) -> float:
        """Return after how many ms the last runner has its first batch, if all of them start at once."""
        ends = sorted(self._claim(0.0) for _ in range(self._runners))
        return max([self._server.commit(end) for end in ends])

    def _claim(self, now: float) -> float:
        """Return when a claim ends that comes now; it steps over what claims have locked that are not committed.

        That needs no bound: a claim that waits for a core has locked nothing yet. Its rows stay locked until its
        commit is written, by the write after the one that may be going on.
        """
        begins = self._server.begins(now)
        self._claims = [claim for claim in self._claims if claim[1] > now]
        locked = self._batch * sum(begun <= begins < released for begun, released in self._claims)
        ended = self._server.work(now, self._claim_cpu() + locked * self._step_over())
        self._claims.append((begins, ended + 2 * self._server.sync))
        return ended

    def _claim_cpu(self) -> float:
        one, hundred = self._times["claim_of_1"], self._times["claim_of_100"]
        return one + (hundred - one) * (self._batch - 1) / 99

    def _step_over(self) -> float:
        return self._times["step_over_1000_locked"] / 1000

    def _part_of_job(self) -> float:
        """Return the part of a job's cost to the server that is not its part of a claim of a hundred."""
        return max(0.1, 1 - self._times["claim_of_100"] / LARGEST_BATCH / self._times["job_server_cpu"])


def results(times: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return the jobs in a second, by the work of a job and the number of runners; and `TOGETHER`."""
    found = {
        f"{work:g}": {str(n): round(Model(times, n, work, CORES, SYNC_MS).per_second(), 1) for n in RUNNERS}
        for work in WORKS
    }
    first = {str(n): round(Model(times, n, 0.0, CORES, SYNC_MS).first_claims(), 1) for n in RUNNERS}
    return {**found, TOGETHER: first}


if __name__ == "__main__":
    found = results(json.loads(TIMES.read_text(encoding="utf-8")))
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(FILE.read_text(encoding="utf-8"))
