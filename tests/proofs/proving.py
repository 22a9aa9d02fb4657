"""What a proof works with: an instance, its jobs, runs of it in processes that may die, and the verdict."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import text

import checker
import proofapp
from jobcron import Database
from jobcron.operations.processes.channels import pass_over, set_limits

HERE = Path(__file__).parent

IS_CHAOS = bool(os.environ.get("JOBCRON_CHAOS"))
"""Whether the proofs run in their full size: ``make chaos``."""

DUE_SECONDS = 5.0 if IS_CHAOS else 0.2

JOBS = ("ledger", "idle", "bank", "idle", "failing", "checkpoint", "retried", "user", "unique", "idle", "ledger")

GROUPED = (
    *(
        f"grouped_{kind}"
        for kind in ("ledger", "ledger", "bank", "ledger", "failing", "ledger", "bank", "retried")
    ),
    *(
        f"grouped_{kind}"
        for kind in ("unique", "user", "ledger", "checkpoint", "ledger", "bank", "ledger", "ledger")
    ),
)
"""Jobs that share transactions: with each failure the groups begin at one again, and double."""

LIMITED = ("limited_ledger", "ledger", "chained_ledger", "ordered_ledger", "limited_retried", "ordered_bank")
"""Jobs in channels with limits, and jobs that wait for others."""

LIMITS = (
    checker.Limit("root.proof", 2),
    checker.Limit("root.proof.some", 1, is_per_key=True),
    checker.Limit("root.proof.order", 1),
)
"""Those of `proofapp.LIMITS`, for the judge."""

SAMPLE = int(os.environ.get("PROOF_SAMPLE", 18))
"""Deaths for each database, at other lines in each run; with those of other kinds of jobs 92 in ``make test``."""


class Proof:
    """An instance with the jobs of the proofs.

    Args:
        path: a folder of its own.
        url: of a database that has jobcron's tables.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self.state = path / "state"
        self.database = Database(url)
        self._due_at = 0.0
        self.money = proofapp.ACCOUNTS * proofapp.BALANCE
        with self.database.begin() as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS ledger")  # the template's, of another application
            proofapp.make_tables(connection)
            checker.make_audit(connection)
            for name, limits in proofapp.LIMITS.items():
                set_limits(connection, name, limits, "a proof")
        self.instance("instance")

    def instance(self, name: str, url: str | None = None) -> Path:
        """Write the configuration of a host, with locks of its own; reports and journal are shared."""
        folder = self.path / name
        folder.mkdir()
        self.state.mkdir(mode=0o700, exist_ok=True)
        (folder / "jobcron.conf").write_text(
            f"[jobcron]\ndatabase_url: {url or self.url}\napplication: proofapp\npython_path: {HERE}\n"
            f"state_dir: state\nerror_dir: {self.state / 'oops'}\noops_prefix: P\n\n"
            "[steps]\nsource_interface: proofapp.ProofSteps\n\n"
            "[fresh_steps]\nsource_interface: proofapp.FreshSteps\n\n"
            "[functions]\nsource_interface: jobcron.functions.FunctionJob\n\n"
            "[grouped]\nsource_interface: proofapp.GroupedProofJob\n\n"
            "[work]\nsource_interface: proofapp.ProofJob\n"
        )
        return folder

    def make(self, kinds: Iterable[str], **values: Any) -> list[int]:
        """Commit a job of each kind, in one transaction; return their numbers."""
        with self.database.session() as session:
            numbers = [proofapp.make_job(session, kind, **values) for kind in kinds]
            session.commit()
        return numbers

    def query(self, statement: str, **parameters: Any) -> list[Any]:
        """Return the rows of a statement; what it writes is committed."""
        with self.database.begin() as connection:
            result = connection.execute(text(statement), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    def end_leases(self) -> None:
        """Move the leases of all RUNNING jobs into the past: tests move the rows' times, not the clock."""
        past = {
            "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-1 hour')",
            "postgresql": "now() - interval '1 hour'",
        }[self.database.dialect]
        self.query(f"UPDATE jobcron_job SET lease_expires = {past} WHERE status = 1")
        self.query(f"UPDATE jobcron_renewal SET lease_expires = {past}")
        self.query(f"UPDATE jobcron_group_run SET lease_expires = {past}")

    def make_due(self) -> None:
        """Let jobs that wait to be tried again wait no longer."""
        # Only those: one statement that rewrote a hundred thousand rows would keep all others waiting on SQLite.
        late = "status = 0 AND scheduled_start > date_created"
        self.query(f"UPDATE jobcron_job SET scheduled_start = date_created WHERE {late}")

    def hurry(self) -> None:
        """Make retries due, now and then: it looks at all jobs that wait, and on SQLite keeps workers waiting."""
        if time.monotonic() > self._due_at:
            self.make_due()
            self._due_at = time.monotonic() + DUE_SECONDS

    def pass_over(self) -> None:
        """Let the channel that keeps its order go on without what has failed there, as an operator does."""
        with self.database.begin() as connection:
            pass_over(connection, "root.proof.order", "a proof")

    def is_drained(self) -> bool:
        """Tell whether no job waits or runs."""
        return self.count_left() == 0

    def count_left(self) -> int:
        """Return how many jobs wait or run."""
        ((count,),) = self.query("SELECT count(*) FROM jobcron_job WHERE status IN (0, 1)")
        return int(count)

    def story(self, job: int) -> str:
        """Return all that is known of a job: its row, moves, history, effects, and lines of the journal."""
        with self.database.begin() as connection:
            row = connection.execute(text("SELECT * FROM jobcron_job WHERE id = :job"), {"job": job}).mappings()
            told = [f"job {job}: {dict(one)}" for one in row]
        for what in (
            "id, old, new, old_token, new_token FROM audit",
            "at, kind, lease_token, detail, actor FROM jobcron_event",
            "token, note FROM ledger",
        ):
            rows = self.query(f"SELECT {what} WHERE job = :job ORDER BY id", job=job)
            told += [f"  {what.rpartition(' ')[2]}: {' '.join(map(str, one))}" for one in rows]
        journal = (self.state / "journal").read_text().splitlines()
        told += [f"  journal: {line}" for line in journal if line.split()[1] == str(job)]
        return "\n".join(told)

    def verdict(self, **more: Any) -> list[str]:
        """Return every violation of an invariant, in words."""
        more = {"money": self.money, "limits": LIMITS, **more}
        return checker.judge(checker.gather(self.database.engine, self.state, **more))


LOCK_HELD = 3


class Runs:
    """Runs of the section, each in a child of a process that has imported everything: quick, and free to die.

    Args:
        proof: whose instance.
        options: of the process; see `forks.py`.
    """

    def __init__(self, proof: Proof, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "forks.py"), str(proof.path / "instance"), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(proof.path / "forks.log").open("a"),
            text=True,
        )
        self._log = proof.path / "forks.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()

    def run(self, **order: Any) -> dict[str, Any]:
        """Run the section once; return how the child ended: ``status`` as of subprocess, and what it counted."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self._log.read_text()
        found: dict[str, Any] = json.loads(answer)
        return found

    def lines(self, **order: Any) -> list[int]:
        """Run the section once; return a number for each executed line: that of the line of code."""
        file = self._log.with_name("lines.json")
        ended = self.run(count=str(file), **order)
        assert ended["status"] == 0, self.log()
        found: list[int] = json.loads(file.read_text())
        assert len(found) == ended["lines"] > 500
        return found

    def warm(self, section: str = "work") -> None:
        """Run the section once; later runs find its statements compiled, and its modules imported."""
        self.run(warm=section)

    def log(self) -> str:
        """Return what all runs have logged."""
        return self._log.read_text()


def drawn(lines: Sequence[int], sample: int, seed: int) -> list[int]:
    """Return before which executed lines runs are to die.

    In full size, each line of code is among them, at one of the times when it was executed.

    Args:
        lines: those of a run; see `Runs.lines`.
        sample: how many are drawn in other sizes.
        seed: of the drawing.
    """
    chance = random.Random(seed)
    print(f"{len(lines)} executed lines, {len(set(lines))} lines of code; seed {seed}")
    if not IS_CHAOS:
        return sorted(chance.sample(range(1, len(lines)), sample))
    times: dict[int, list[int]] = {}
    for number, line in enumerate(lines, 1):
        times.setdefault(line, []).append(number)
    return sorted(chance.choice(numbers) for numbers in times.values())


def drain(proof: Proof, runs: Runs, *, at_once: bool = False, **order: Any) -> None:
    """Let runners that do not die do what is left, as cron would when leases have ended.

    Args:
        proof: whose jobs.
        runs: that run them.
        at_once: instead, as cron would at the next tick, while the leases of the dead last.
        order: more of `Runs.run`'s.
    """
    for _ in range(20):
        if not at_once:
            forget_holders(proof)
            proof.end_leases()
        proof.make_due()
        assert run_free(runs, **order) == 0, runs.log()
        if proof.is_drained():
            return
    raise AssertionError("jobs are left")


def run_free(runs: Runs, **order: Any) -> int:
    """Run the section as soon as its lock is free, and return the status.

    A child that was starting when its parent was killed holds the lock until it notices.
    """
    deadline = time.monotonic() + 30
    while (status := int(runs.run(**order)["status"])) == LOCK_HELD and time.monotonic() < deadline:
        time.sleep(0.05)
    return status


def forget_holders(proof: Proof) -> None:
    """Let the next run be in doubt who held its lock before, so that leases decide."""
    for path in (proof.path / "instance" / "state" / "locks").glob("*.lock"):
        path.unlink()


def forget_state(proof: Proof) -> None:
    """Let the next run make its state anew: kept settings and lock files."""
    for path in (proof.path / "instance" / "state").rglob("*"):
        if path.is_file():
            path.unlink()


def unpublished_aside(proof: Proof, found: list[str]) -> list[str]:
    """Leave out reports that are not files because no file could be written: then the history has all of it."""
    kept = []
    for violation in found:
        job = violation.partition(": job ")[2].partition(" ")[0]
        if violation.startswith("i5_") and violation.endswith("is not there"):
            rows = proof.query(
                "SELECT detail FROM jobcron_event WHERE job = :job AND kind = 'failed'", job=int(job)
            )
            if any(detail.startswith("not published: ") and "this kind fails" in detail for (detail,) in rows):
                continue
        kept.append(violation)
    return kept
