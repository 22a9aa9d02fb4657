"""Instances of jobcron for the tests, and ways to run ``jobcron`` with them."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

import fooapp
from fork_server import Forked, ForkServer
from jobcron import Database, Job
from jobcron.jobs.job import lease_end
from jobcron.testing import run_script, run_waiting
from paths import APPS, JOBCRON, PROOFS, TOOLS

Process = subprocess.Popen[str] | Forked

SECTIONS = """
[do_foo]
source_interface: fooapp.IDoFooJobSource
dbuser: foo_runner

[act]
source_interface: fooapp.IActJobSource
dbuser: foo_runner

[telling]
source_interface: fooapp.TellingJob
dbuser: foo_runner

[own_ready]
source_interface: fooapp.OwnReadyJob
dbuser: foo_runner

[handmade]
source_interface: fooapp.IHandmadeSource
dbuser: foo_runner
"""

FUNCTIONS = "[functions]\nsource_interface: jobcron.functions.FunctionJob\n"


@functools.cache
def fork_server(*, prepared: bool = False) -> ForkServer:
    """Return what forks processes that run ``jobcron``.

    Args:
        prepared: return one that has `fooapp`, too: for runs, which load it anyway.
    """
    found = ForkServer(prepared=prepared)
    atexit.register(found.close)
    return found


def run_jobcron(
    *arguments: str,
    expect: int = 0,
    extra_env: Mapping[str, str] | None = None,
    cwd: Any = None,
    timeout: float = 120,
    program: Path = JOBCRON,
) -> tuple[str, str]:
    """Run ``jobcron`` in a process of its own, as `run_script` does; return standard output and standard error.

    Args:
        program: another one, which is forked in any case; ``-m`` where a module comes first.
    """
    environment = {**os.environ, **(extra_env or {})}
    if program is JOBCRON and not fork_server().suits(environment):
        return run_script(JOBCRON, arguments, expect, extra_env=extra_env, cwd=cwd, timeout=timeout)[1:]
    server = fork_server(prepared=program is JOBCRON and _loads_fooapp(arguments, environment))
    status, out, err = server.run(program, arguments, environment, cwd, timeout)
    assert status == expect, (
        f"{program.name} {' '.join(arguments)} left with status {status}, expected {expect}\n"
        f"standard output:\n{out}\nstandard error:\n{err}"
    )
    return out, err


def _loads_fooapp(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Tell whether a command is a run, and its application `fooapp`: others find out what they have to import."""
    path = Path(environment.get("JOBCRON_CONFIG", ""), "jobcron.conf")
    return "run" in arguments[:1] and path.is_file() and "\napplication: fooapp:register\n" in path.read_text()


class Instance:
    """A configuration, its database, and ways to run its sections."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self.state = path / "state"
        self.database = Database(url)
        self.configure()

    def configure(self, more: str = "", sections: str = SECTIONS) -> None:
        """Write the configuration: more keys of [jobcron], and the sections of jobs."""
        self.path.mkdir(exist_ok=True)
        (self.path / "jobcron.conf").write_text(
            f"[jobcron]\ndatabase_url: {self.url}\napplication: fooapp:register\n"
            f"python_path: {APPS} {TOOLS} {PROOFS}\n"
            f"state_dir: {self.state}\noops_prefix: T\nmail: file:{self.path / 'mail'}\n{more}\n{sections}"
        )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session that is committed at the end."""
        with self.database.session() as session:
            yield session
            session.commit()

    def foo(self, session: Session, name: str = "foo") -> fooapp.Foo:
        """Return a new foo."""
        foo = fooapp.Foo(name=name)
        session.add(foo)
        session.flush()
        return foo

    def act(self, *actions: tuple[str, Any], tell: list[str] | None = None, **values: Any) -> int:
        """Commit a job that does these actions, and return its number."""
        with self.session() as session:
            metadata = {"do": [list(action) for action in actions], "tell": tell or []}
            job = fooapp.ActJob.create(self.foo(session), metadata=metadata, session=session, **values)
            return int(job.job.id)

    def run(self, section: str, *arguments: str) -> str:
        """Run a section in this process, on committed rows; return the log."""
        return run_waiting(section, "--config", str(self.path), *arguments)

    def command(self, *arguments: str, expect: int = 0, **options: Any) -> tuple[str, str]:
        """Run ``jobcron`` in a process of its own; return standard output and standard error."""
        extra_env = {"JOBCRON_CONFIG": str(self.path), **options.pop("extra_env", {})}
        return run_jobcron(*arguments, expect=expect, extra_env=extra_env, **options)

    def start(self, section: str, *arguments: str) -> Process:
        """Start a run in a process of its own; its standard error is a pipe."""
        environment = {**os.environ, "JOBCRON_CONFIG": str(self.path)}
        command = ["run", section, *arguments]
        if not fork_server().suits(environment):
            return subprocess.Popen([JOBCRON, *command], env=environment, stderr=subprocess.PIPE, text=True)
        reading, writing = os.pipe()
        server = fork_server(prepared=_loads_fooapp(command, environment))
        process = server.start(JOBCRON, command, environment, None, 1, writing)
        os.close(writing)
        process.stderr = os.fdopen(reading)
        return process

    def row(self, job_id: int) -> Job:
        """Return a job as it is committed."""
        with self.database.session(writing=False) as session:
            job = session.get_one(Job, job_id)
            progress = job.progress
            session.expunge(job)
            set_committed_value(job, "_progress", progress)
            return job

    def lease_end(self, job_id: int) -> datetime | None:
        """Return when a job's lease ends, renewals included."""
        with self.database.session(writing=False) as session:
            return session.scalar(select(lease_end()).where(Job.id == job_id))

    def renewals(self) -> list[Any]:
        """Return (job, token, progress) of the renewals."""
        return self.query("SELECT job, lease_token, progress FROM jobcron_renewal ORDER BY job")

    def rows(self) -> list[Job]:
        """Return all jobs as they are committed."""
        with self.database.session(writing=False) as session:
            jobs = list(session.scalars(select(Job).order_by(Job.id)))
            session.expunge_all()
            return jobs

    def query(self, statement: str, **parameters: Any) -> list[Any]:
        """Return the rows of a statement; what it writes is committed."""
        with self.database.begin() as connection:
            result = connection.execute(text(statement), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    def multiply(self, job_id: int, times: int, **columns: str) -> None:
        """Commit so many more jobs of a job's type, with columns set to SQL expressions."""
        uuid = "gen_random_uuid()" if self.database.dialect == "postgresql" else "lower(hex(randomblob(16)))"
        names, values = (", ".join(texts) for texts in zip(*columns.items(), strict=True))
        self.query(
            f"INSERT INTO jobcron_job (uuid, type, {names}) "
            f"WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {times}) "
            f"SELECT {uuid}, type, {values} FROM n, (SELECT type FROM jobcron_job WHERE id = {job_id}) AS job"
        )

    def ledger(self, job_id: int | None = None) -> list[Any]:
        """Return (job, attempt, note) of the committed ledger rows."""
        rows = self.query("SELECT job, attempt, note FROM ledger ORDER BY id")
        return [row for row in rows if job_id is None or row[0] == job_id]

    def events(self, job_id: int) -> list[str]:
        """Return the kinds of a job's events."""
        rows = self.query("SELECT kind FROM jobcron_event WHERE job = :job ORDER BY id", job=job_id)
        return [kind for (kind,) in rows]

    def oopses(self) -> list[Path]:
        """Return the files of all reports."""
        return sorted((self.state / "oops").glob("*/OOPS-*"))

    def make_due(self) -> None:
        """Let all jobs that wait for their retry be due."""
        self.query("UPDATE jobcron_job SET scheduled_start = date_created WHERE status = 0")

    def end_lease(self, job_id: int) -> None:
        """Move a job's lease into the past: tests move the rows' times, not the clock."""
        past = {
            "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-1 hour')",
            "postgresql": "now() - interval '1 hour'",
        }[self.database.dialect]
        self.query(f"UPDATE jobcron_job SET lease_expires = {past} WHERE id = :id", id=job_id)
        self.query(f"UPDATE jobcron_renewal SET lease_expires = {past} WHERE job = :id", id=job_id)


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Return the first true value of `condition`; fail where none comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} seconds in vain for {what}")
