"""P10: the memory of a process that runs many jobs: a plain run, an isolated run's child, a worker's process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.instance import write_instance
from bench.scale_application import EVERY, JOBS_FILE, CountedJob
from bench.scale_line import Line, Scene
from bench.worker import JOBCRON, run
from jobcron.testing.server import PrivatePostgreSQL

MOST_GROWTH = 0.01

SHARES = {"a plain run": 1, "a worker": 1, "an isolated run's child": 4}
"""How many times fewer jobs run there: each goes to its child and back."""


def memory(folder: Path, jobs: int) -> Iterator[Line]:
    """Run so many jobs in each kind of process on PostgreSQL, and yield how much the process grew."""
    commands = {
        "a plain run": (["run", "no_op"], "JobRunner"),
        "a worker": (["worker", "--until-empty"], "JobRunner"),
        "an isolated run's child": (["run", "no_op"], "ProcessJobRunner"),
    }
    with PrivatePostgreSQL() as server:
        for number, (what, (command, runner)) in enumerate(commands.items()):
            server.create_database(f"memory{number}")
            own = folder / str(number)
            own.mkdir()
            count = jobs // SHARES[what]
            yield _measured(own, server.tcp_url(f"memory{number}"), what, command, runner, count)


def _measured(folder: Path, url: str, what: str, command: list[str], runner: str, jobs: int) -> Line:
    scene = Scene(url)
    scene.make()
    scene.put(jobs, name=CountedJob.type_name)
    scene.database.close()
    config = write_instance(folder, url, runner, job="CountedJob", module="bench.scale_application")
    told = folder / "memory"
    run([JOBCRON, *command], {"JOBCRON_CONFIG": str(config), JOBS_FILE: str(told)}, seconds=7200)
    by_process: dict[str, list[int]] = {}
    for line in told.read_text().splitlines():
        process, kilobytes = line.split()
        by_process.setdefault(process, []).append(int(kilobytes))
    sizes = max(by_process.values(), key=len)
    tenth = max(1, len(sizes) // 10)
    first, last = median(sizes[:tenth]), median(sizes[-tenth:])
    growth = last / first - 1
    figures = (
        f"{first / 1024:.1f} MiB in the first tenth of {len(sizes) * EVERY:,} jobs, {last / 1024:.1f} in the last"
    )
    return Line("P10", what, figures, f"{growth:+.1%}", f"within {MOST_GROWTH:.0%}", growth <= MOST_GROWTH)
