"""P9: what many sections cost that run every minute and find nothing; their application is slow to import."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench import TOP
from bench.scale_line import Line
from bench.worker import JOBCRON, run
from jobcron import Database
from jobcron.testing.server import PrivatePostgreSQL

SECTIONS = 100

IMPORT_SECONDS = 1.5

INTERVAL_MINUTES = 10

MOST_SHARE = 0.03

IMPORT = "BENCH_IMPORT_SECONDS"

APPLICATION = f"""\
import os
import time
from jobcron import BaseRunnableJob, JobType

class Kinds(JobType):
{chr(10).join(f"    K{number} = {number + 1}, 'Kind {number}'" for number in range(SECTIONS))}

for kind in Kinds:
    globals()[kind.name] = type(kind.name, (BaseRunnableJob,), {{
        "__module__": __name__, "class_job_type": kind, "run": lambda self: None}})

end = time.process_time() + float(os.environ["{IMPORT}"])
while time.process_time() < end:
    pass
"""


def sections(folder: Path, rows: int) -> Iterator[Line]:
    """Measure on both databases, and yield the share of a core that the sections take."""
    with PrivatePostgreSQL() as server:
        server.create_database("sections")
        for name, url in (
            ("PostgreSQL", server.tcp_url("sections")),
            ("SQLite", f"sqlite:///{folder}/sections.db"),
        ):
            own = folder / name
            own.mkdir()
            yield _measured(own, name, url)


def _measured(folder: Path, name: str, url: str) -> Line:
    (folder / "slow.py").write_text(APPLICATION)
    head = f"[jobcron]\ndatabase_url: {url}\napplication: slow\npython_path: {folder} {TOP}\n"
    head += f"state_dir: {folder}/state\nactivity_interval: {INTERVAL_MINUTES}m\n"
    own = "".join(f"[section{n}]\nsource_interface: slow.K{n}\ncrontab_group: ALL\n" for n in range(SECTIONS))
    (folder / "jobcron.conf").write_text(head + own)
    more = {"JOBCRON_CONFIG": str(folder), IMPORT: "0"}
    run([JOBCRON, "upgrade"], more)
    command = [JOBCRON, "process-job-sources", "ALL"]
    for _ in range(
        3
    ):  # after a change each section has a full run; of runs at once, one may overwrite another's note
        _cpu_seconds(command, more)
        _age(url, folder)
    more[IMPORT] = str(IMPORT_SECONDS)
    _cpu_seconds(command, more)
    idle = min(_cpu_seconds(command, more) for _ in range(3))
    _age(url, folder)
    due = _cpu_seconds(command, more)
    share = (idle * (INTERVAL_MINUTES - 1) + due) / (INTERVAL_MINUTES * 60)
    figures = f"a tick of all {idle:.2f} s of CPU, with their rows due {due:.2f} s"
    what = f"{SECTIONS} sections each minute, an application of {IMPORT_SECONDS} s, {name}"
    return Line("P9", what, figures, f"{share:.2%} of a core", f"< {MOST_SHARE:.0%}", share < MOST_SHARE)


def _age(url: str, folder: Path) -> None:
    """Let all rows of runs, and the last look around, be an interval old."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            for column in ("date_started", "date_completed"):
                connection.execute(
                    f"UPDATE jobcron_run SET {column} = strftime('%Y-%m-%d %H:%M:%f000', {column}, '-11 minutes')"
                )
    else:
        database = Database(url)
        with database.begin() as opened:
            for column in ("date_started", "date_completed"):
                opened.exec_driver_sql(f"UPDATE jobcron_run SET {column} = {column} - interval '11 minutes'")
        database.close()
    looked = folder / "state" / "looked-around"
    then = looked.stat().st_mtime - INTERVAL_MINUTES * 60
    os.utime(looked, (then, then))


def _cpu_seconds(command: list[str], more: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command, more, seconds=7200)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
