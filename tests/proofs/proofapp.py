"""The jobs of the proofs: what each does can be counted afterwards, whatever died meanwhile.

Each run of a job leaves a line in a journal outside the database, when it begins and when it ends, and a row in a
ledger inside it, which has no constraint that would hide a second one.
"""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from jobcron import BaseRunnableJob, Job, JobType, RetryableJobError, chain, group, load_settings
from jobcron.functions import FunctionJob, job, job_as_parameter
from jobcron.runner.grouped._attempt import GroupedAttempt
from jobcron.steps import StepsJob

ACCOUNTS = 8
BALANCE = 1000

LEASE_VARIABLE = "PROOF_LEASE_SECONDS"

RELEASE_VARIABLE = "PROOF_RELEASE"

IS_OLD = os.environ.get(RELEASE_VARIABLE) == "old"
"""Whether this is the release that lacks an argument, a function and a task."""

KINDS = (
    "ledger", "idle", "bank", "transfer", "checkpoint", "failing", "user", "retried", "slow", "unique", "poison",
)  # fmt: skip


class Base(DeclarativeBase):
    """The application's tables."""


class Ledger(Base):
    """One row for each effect that was committed."""

    __tablename__ = "ledger"

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[int] = mapped_column(index=True)
    token: Mapped[int]
    note: Mapped[str]


class Account(Base):
    """Money: it moves, and its sum stays."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Made(Base):
    """One row for each job whose creation was committed: written with it."""

    __tablename__ = "made"

    job: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]


class NotYet(Exception):
    """May pass."""


class NotYours(Exception):
    """The user's mistake."""


class ProofJobType(JobType):
    """The one type: its jobs differ by their kind, so that one batch holds all kinds."""

    WORK = 0
    GROUPED = 1


def token_of(job: BaseRunnableJob) -> int:
    """Return the token under which this attempt has the job; the row may have that of whoever took it over."""
    assert job.attempt is not None
    return job.attempt.token


class ProofJob(BaseRunnableJob):
    """A job whose effects are counted."""

    class_job_type = ProofJobType.WORK
    type_prefix = ""  # as in versions of jobcron before names had one
    lease_duration = timedelta(seconds=float(os.environ.get(LEASE_VARIABLE, "300")))
    retry_delay = timedelta(0)
    max_retries = 1
    retry_error_types = (NotYet,)
    user_error_types = (NotYours,)

    kind: str

    if not IS_OLD:
        is_fresh: bool = False

    def run(self) -> None:
        """Do what the kind says, between two lines of the journal."""
        token = token_of(self)
        begin, end = ("share", "shared") if isinstance(self.attempt, GroupedAttempt) else ("begin", "end")
        write_journal(begin, self.job.id, token)
        getattr(self, f"do_{self.kind}")()
        write_journal(end, self.job.id, token)

    def note(self, text: str) -> None:
        """Write to the ledger."""
        self.session.add(Ledger(job=self.job.id, token=token_of(self), note=text))
        self.session.flush()

    def do_ledger(self) -> None:
        """Have an effect."""
        self.note("done")

    do_unique = do_ledger

    def do_idle(self) -> None:
        """Begin no transaction: all that it does is in the journal."""

    def do_slow(self) -> None:
        """Take a while."""
        self.note("done")
        time.sleep(0.05)

    def do_bank(self) -> None:
        """Move money in two statements."""
        self.note("done")
        first, second = sorted((self.job.id % ACCOUNTS, (self.job.id * 3 + 1) % ACCOUNTS))
        for account, amount in ((first, -7), (second, 7)):
            change = update(Account).where(Account.id == account).values(balance=Account.balance + amount)
            self.session.execute(change)

    def do_transfer(self) -> None:
        """Move money by the ORM: what one transaction read, the next one writes; others move money meanwhile."""
        numbers = (self.job.id % ACCOUNTS, (self.job.id * 3 + 1) % ACCOUNTS)
        accounts = [self.session.get_one(Account, number) for number in sorted(numbers)]
        balances = [account.balance for account in accounts]
        self.checkpoint()
        self.note("done")
        for account, balance, amount in zip(accounts, balances, (-7, 7), strict=True):
            account.balance = balance + amount

    def do_checkpoint(self) -> None:
        """Commit on the way; what was done before that is done again after a crash."""
        self.note("early")
        self.checkpoint()
        self.note("done")

    def do_failing(self) -> None:
        """Fail, with an effect that must not stay."""
        self.note("never")
        raise ValueError("this kind fails")

    def do_user(self) -> None:
        """Fail by the user's mistake."""
        self.note("never")
        raise NotYours("not yours")

    def do_retried(self) -> None:
        """Fail once."""
        self.note("done" if self.metadata.get("again") or self.job.attempt_count > 1 else "never")
        if self.job.attempt_count == 1:
            raise NotYet("not yet")

    def do_poison(self) -> None:
        """Kill the process."""
        self.note("never")
        os.kill(os.getpid(), signal.SIGKILL)


class GroupedProofJob(ProofJob):
    """A job that shares its transaction with others."""

    class_job_type = ProofJobType.GROUPED
    database_only = True
    group_commit = True


GROUPED = "grouped_"
"""The beginning of the kinds of jobs that share transactions; they are noted without it."""

CHAINED = "chained_"
"""The beginning of the kinds that are three jobs, one of which waits for the others."""

CHANNELS = {"limited_": "root.proof.some", "ordered_": "root.proof.order"}
"""The channels of kinds with these beginnings."""

LIMITS: dict[str, dict[str, object]] = {
    "root.proof": {"capacity": 2},
    "root.proof.some": {"per_key": 1},
    "root.proof.order": {"sequential": "channel"},
}

FunctionJob.lease_duration = ProofJob.lease_duration


@job
@job_as_parameter
def do_function(call: FunctionJob, kind: str) -> None:
    """Be a job that is a function, between two lines of the journal: have an effect; fail, once or for good."""
    number, token, is_first = call.job.id, token_of(call), call.retry == 1
    write_journal("begin", number, token)
    fails = kind == "function_failing" or (kind == "function_retried" and is_first)
    call.session.add(Ledger(job=number, token=token, note="never" if fails else "done"))
    call.session.flush()
    if kind == "function_failing":
        raise ValueError("this kind fails")
    if fails:
        raise RetryableJobError("not yet", seconds=0)
    write_journal("end", number, token)


if not IS_OLD:

    @job
    @job_as_parameter
    def do_fresh_function(call: FunctionJob, kind: str) -> None:
        """Do as the other function."""
        do_function(call, kind)


def make_function(session: Session, kind: str) -> int:
    """Make a job that is a function, and note it in the same transaction; return its number."""
    key = "the one function" if kind == "function_unique" else None
    function = do_fresh_function if kind == "function_fresh" else do_function
    uuid = function.options(identity_key=key, session=session).delay(kind)
    number = session.scalars(select(Job.id).where(Job.uuid == UUID(uuid))).one()
    if session.get(Made, number) is None:
        session.add(Made(job=number, kind=kind))
        session.flush()
    return number


def do_task(job: Any) -> None:
    """Be each of three tasks: have an effect, and count it in the workspace; the second fails where it is to."""
    write_journal("task", job.id, token_of(job))
    job.workspace["done"] = job.workspace.get("done", 0) + 1
    job.session.add(Ledger(job=job.id, token=token_of(job), note=f"task {job.step + 1}"))
    job.session.flush()
    if job.workspace.get("fail") and job.step == 1:
        raise ValueError("this task fails")


if not IS_OLD:

    def do_fresh_task(job: Any) -> None:
        """Do as the other tasks."""
        do_task(job)


class ProofSteps(StepsJob):
    """A job of three tasks, whose effects are counted."""

    name = "proof"
    tasks = [do_task, do_task, do_task]
    lease_duration = ProofJob.lease_duration

    def failure_hook(self, exception: BaseException) -> None:
        """Clean up."""
        self.workspace["cleaned"] = True


class FreshSteps(ProofSteps):
    """A job whose last task the old release lacks."""

    name = "fresh proof"
    tasks = [do_task, do_task]

    if not IS_OLD:
        tasks = [do_task, do_task, do_fresh_task]


def make_steps(session: Session, fail: bool, *, is_fresh: bool = False) -> int:
    """Make a job of three tasks, and note it in the same transaction; return its number."""
    job_class = FreshSteps if is_fresh else ProofSteps
    job = job_class.create(workspace={"fail": fail}, session=session)
    session.add(Made(job=job.id, kind="failing" if fail else "steps_fresh" if is_fresh else "steps"))
    session.flush()
    return job.id


def write_journal(event: str, job: int, token: int) -> None:
    """Append a line to the journal, at once and durably: ``event job token process nanoseconds``.

    The old release notes what it begins in a second line.
    """
    events = ("old", event) if IS_OLD and event in ("begin", "share", "task") else (event,)
    line = "".join(f"{one} {job} {token} {os.getpid()} {time.time_ns()}\n" for one in events).encode()
    descriptor = os.open(journal_path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def journal_path() -> Path:
    """Return the path of the journal: beside the reports, which all instances of a proof share."""
    return Path(load_settings().error_dir).with_name("journal")


def make_tables(connection: Any) -> None:
    """Make the application's tables, with money in the accounts."""
    Base.metadata.create_all(connection)
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        if session.scalars(select(Account)).first() is None:
            session.add_all(Account(id=number, balance=BALANCE) for number in range(ACCOUNTS))
            session.commit()


def make_chain(session: Session, kind: str) -> int:
    """Make two jobs of a kind, and a third that waits for both, in a channel; return the number of the first."""
    before = [ProofJob.planned(kind=kind) for _ in range(2)]
    after = ProofJob.planned(kind=kind, channel=CHANNELS["limited_"])
    numbers = chain(group(*before), after).create(session=session)
    session.add_all(Made(job=numbers[planned], kind=kind) for planned in (*before, after))
    session.flush()
    return min(numbers[job] for job in before)


def make_job(session: Session, kind: str, **values: Any) -> int:
    """Make a job of a kind, and note it in the same transaction; return its number."""
    if kind.startswith("function"):
        return make_function(session, kind)
    if kind in ("steps", "steps_fresh"):
        return make_steps(session, fail=False, is_fresh=kind == "steps_fresh")
    if kind.startswith(CHAINED):
        return make_chain(session, kind.removeprefix(CHAINED))
    job_class = GroupedProofJob if kind.startswith(GROUPED) else ProofJob
    kind = kind.removeprefix(GROUPED)
    for prefix, channel in CHANNELS.items():
        if kind.startswith(prefix):
            kind = kind.removeprefix(prefix)
            values = {"channel": channel, "channel_key": random.choice("abc"), **values}
    if kind == "unique":
        job = job_class.acquire(kind=kind, session=session, **{"unique_key": "the one", **values})
        if session.get(Made, job.id) is not None:
            return job.id
    else:
        more = {"kind": "ledger", "is_fresh": True} if kind == "fresh" else {"kind": kind}
        job = job_class.create(session=session, **more, **values)
    session.add(Made(job=job.id, kind=kind))
    session.flush()
    return job.id
