"""The application of the tests: foos, and jobs about them.

`ActJob` does what its data says, so that a test can make a job that dies, waits or fails at a chosen point.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from zope.interface import implementer, provider

from jobcron import (
    BaseRunnableJob,
    FamilyRow,
    IJobSource,
    Interrupted,
    IRunnableJob,
    Job,
    JobStatus,
    JobType,
    RetryableJobError,
    SuspendJobException,
    after_commit,
    current_session,
    job_type_column,
    new_job,
)
from jobcron.database.trouble import Interruption


class Base(DeclarativeBase):
    """The application's own metadata."""


class Foo(Base):
    """What jobs are about."""

    __tablename__ = "foo"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="foo")
    frozzled: Mapped[int] = mapped_column(default=0)


class Ledger(Base):
    """One row per run that was committed; no constraint would hide a second one."""

    __tablename__ = "ledger"

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[int]
    attempt: Mapped[int]
    note: Mapped[str] = mapped_column(default="")


class FooJobType(JobType):
    """The types of jobs about foos."""

    DO_FOO = 0, "Do foo"
    ACT = 1, "Act"
    OWN_READY = 2
    TELLING = 3


class FooJob(FamilyRow, Base):
    """The family table."""

    __tablename__ = "foo_job"

    job_type: Mapped[FooJobType] = job_type_column(FooJobType)
    foo_id: Mapped[int] = mapped_column(ForeignKey("foo.id"))
    foo: Mapped[Foo] = relationship()


class IFooJobSource(IJobSource):
    """An interface for acquiring jobs about foos."""

    def create(foo: Foo) -> object:
        """Create a new job for a foo."""


class IDoFooJobSource(IFooJobSource):
    """An interface for acquiring DoFooJobs."""


class IActJobSource(IFooJobSource):
    """An interface for acquiring ActJobs."""


class IHandmadeSource(IJobSource):
    """The interface of the source that uses none of our classes."""


class INobodysSource(IJobSource):
    """Nobody provides this."""


@provider(IDoFooJobSource)
class DoFooJob(BaseRunnableJob[FooJob]):
    """Frozzles a foo, and says so in the ledger."""

    class_job_type = FooJobType.DO_FOO

    def run(self) -> None:
        """Frozzle."""
        self.context.foo.frozzled += 1
        self.session.add(Ledger(job=self.job.id, attempt=self.job.attempt_count))

    def getOopsVars(self) -> list[tuple[str, object]]:
        """As in the wiki."""
        oops_vars = super().getOopsVars()
        oops_vars.extend(
            [
                ("foo_id", self.context.foo.id),
                ("foo_job_id", self.context.id),
                ("foo_job_type", self.context.job_type.title),
            ]
        )
        return oops_vars


class UserError(Exception):
    """The user's fault."""


class NotNow(Exception):
    """May pass."""


class Deadlock(Exception):
    """Marked as `jobcron.database.trouble` marks errors of its engines that say so."""

    jobcron_interruption = Interruption.DEADLOCK


class Unprintable(Exception):
    """Cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class UnprintableSuspension(SuspendJobException):
    """Cannot be printed either."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@provider(IActJobSource)
class ActJob(BaseRunnableJob[FooJob]):
    """Does the actions in its data, one after the other: pairs of a verb and its argument."""

    class_job_type = FooJobType.ACT
    user_error_types = (UserError,)
    retry_error_types = (NotNow,)
    retry_delay = timedelta(0)
    max_retries = 1

    def run(self) -> None:
        """Act."""
        for verb, argument in self.metadata.get("do", []):
            getattr(self, f"act_{verb}")(argument)

    def act_write(self, note: str) -> None:
        """Write a ledger row."""
        self.session.add(Ledger(job=self.job.id, attempt=self.job.attempt_count, note=note))
        self.session.flush()

    def act_raise(self, name: str) -> None:
        """Raise an error."""
        errors: dict[str, BaseException] = {
            "user": UserError("the foo is not yours"),
            "retry": NotNow("not now"),
            "retryable": RetryableJobError("in an hour", seconds=3600),
            "suspend": SuspendJobException("wait for me"),
            "value": ValueError("no such foo"),
            "exit": SystemExit(7),
            "memory": MemoryError(),
            "keyboard": KeyboardInterrupt(),
            "unprintable": Unprintable(),
            "unprintable suspension": UnprintableSuspension(),
            "interrupted": Interrupted("by myself"),
            "deadlock": Deadlock(),
            "hard to store": ValueError("ärger: 10 €, \0, \ud800"),
            "hard to store for users": UserError("ärger: 10 €, \0, \ud800"),
            "lengthy": ValueError("a." * 200_000),
            "password": ValueError("password=hunter2 at postgresql://me:s3cr3tpw@host/db"),
        }
        raise errors[name]

    def act_chain(self, argument: str) -> None:
        """Raise an error with a cause."""
        try:
            raise KeyError("the cause")
        except KeyError as error:
            raise ValueError("the consequence") from error

    def act_later(self, what: str) -> None:
        """Do something after the commit."""

        def fail() -> None:
            raise OSError("no mail server")

        after_commit(self.session, fail)

    def act_sql(self, statement: str) -> None:
        """Execute a statement."""
        self.session.connection().exec_driver_sql(statement)

    def act_delete(self, what: str) -> None:
        """Delete the job's own row, or the family's, or both."""
        if what != "job":
            self.session.delete(self.context)
        if what != "family":
            self.session.delete(self.job)
        self.session.flush()

    def act_checkpoint(self, argument: str) -> None:
        """Commit on the way."""
        self.checkpoint()

    def act_commit(self, argument: str) -> None:
        """Commit through the session."""
        self.session.commit()

    def act_progress(self, per_cent: int) -> None:
        """Say how far the job is."""
        self.progress = per_cent

    def act_sleep(self, seconds: float) -> None:
        """Take time."""
        time.sleep(seconds)

    def act_stubborn_sleep(self, seconds: float) -> None:
        """Take time, and swallow what can be swallowed."""
        with suppress(Exception):
            time.sleep(seconds)

    def act_touch(self, path: str) -> None:
        """Tell the test that this point is reached, and by which process."""
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {self.job.id}\n")

    def act_wait_for_stop(self, path: str) -> None:
        """Wait until the run was asked to stop, and tell the test so."""
        assert self.attempt is not None
        while not self.attempt.must_stop():
            time.sleep(0.01)
        self.act_touch(path)

    def act_wait_for(self, path: str) -> None:
        """Wait until the test lets the job go on."""
        while not Path(path).exists():
            time.sleep(0.01)

    def act_press_a_key(self, argument: str) -> None:
        """Do as if somebody had pressed Ctrl-C."""
        os.kill(os.getpid(), signal.SIGINT)

    def act_kill(self, argument: str) -> None:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)

    def act_spawn(self, path: str) -> None:
        """Start a program that goes on, and tell the group of this process and the program's number."""
        program = subprocess.Popen(["sleep", "600"])
        Path(path).write_text(f"{os.getpgid(0)} {program.pid}", encoding="ascii")

    def act_move(self, name: str) -> None:
        """Move by itself, as many jobs of Launchpad do."""
        getattr(self, name)()

    def act_move_and_commit(self, name: str) -> None:
        """Move by itself, and commit."""
        getattr(self, name)(manage_transaction=True)

    def act_child_fails(self, argument: str) -> None:
        """Start a program that fails, and look how it ended."""
        subprocess.run(["false"], check=True)

    def act_kill_once(self, path: str) -> None:
        """Die, but only the first time."""
        if not Path(path).exists():
            Path(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def act_exit_once(self, path: str) -> None:
        """Leave the process without a word, but only the first time."""
        if not Path(path).exists():
            Path(path).touch()
            os._exit(0)

    def act_fork_twice(self, path: str) -> None:
        """Fork a process that opens files and forks another one, which notes how many of them it has.

        It also notes by how many its log's handlers have become more.
        """
        if os.fork() == 0:
            opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
            handlers = len(logging.getLogger().handlers)
            if os.fork() == 0:
                there = sum(os.path.exists(f"/proc/self/fd/{number}") for number in opened)
                Path(path).write_text(f"{there} {len(logging.getLogger().handlers) - handlers}", encoding="ascii")
                os._exit(0)
            os.wait()
            os._exit(0)
        os.wait()

    def getErrorRecipients(self) -> list[str]:
        """Tell whoever the data names."""
        return list(self.metadata.get("tell", []))

    def getOperationDescription(self) -> str:
        """For mails."""
        return "acting on a foo"


class TellingJob(BaseRunnableJob[FooJob]):
    """Fails, and tells all that it has in its report."""

    class_job_type = FooJobType.TELLING

    def run(self) -> None:
        """Fail."""
        raise ValueError("told")

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Tell all."""
        return [*super().getOopsVars(), ("metadata", self.metadata)]


class OwnReadyJob(BaseRunnableJob[FooJob]):
    """Finds its ready jobs in its own way: the latest first."""

    class_job_type = FooJobType.OWN_READY

    @classmethod
    def iterReady(cls, *, session: Any = None) -> Any:
        """Yield the ready jobs backwards."""
        return iter(list(super().iterReady(session=session))[::-1])

    def run(self) -> None:
        """Do as the data says."""
        if (path := self.metadata.get("die_once")) and not Path(path).exists():
            Path(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        self.session.add(Ledger(job=self.job.id, attempt=self.job.attempt_count, note=self.context.foo.name))


@implementer(IRunnableJob)
class HandmadeJob:
    """Declares what it provides, and inherits nothing of ours."""

    user_error_types = ()
    retry_error_types = ()

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self) -> None:
        """Write a ledger row."""
        if self.job.json_data.get("fail"):
            raise ValueError("handmade failure")
        current_session().add(Ledger(job=self.job.id, attempt=self.job.attempt_count))

    def getOopsVars(self) -> list[tuple[str, object]]:
        """Say little."""
        return [("handmade", self.job.id)]

    def getOperationDescription(self) -> str:
        """Say little."""
        return "working by hand"

    def getOopsRecipients(self) -> list[str]:
        """Tell nobody."""
        return []

    def getErrorRecipients(self) -> list[str]:
        """Tell nobody."""
        return []

    def notifyOops(self, oops: dict[str, object]) -> None:
        """Tell nobody."""

    def notifyUserError(self, e: BaseException) -> None:
        """Tell nobody."""


@implementer(IHandmadeSource)
class HandmadeSource:
    """A source without a base class of ours."""

    memory_limit = None

    def contextManager(self) -> Any:
        """Do nothing around the run."""
        return nullcontext()

    def create(self, foo: Foo, **data: Any) -> HandmadeJob:
        """Make a job."""
        return HandmadeJob(new_job(current_session(), "handmade.WORK", json_data=data))

    def iterReady(self) -> Any:
        """Find the waiting rows that this source made."""
        rows = current_session().query(Job).filter(Job.status == JobStatus.WAITING)
        return (HandmadeJob(job) for job in rows.order_by(Job.id))


handmade_source = HandmadeSource()


def register() -> None:
    """Register what no class registers by itself: the configuration's ``application`` names this."""
    from zope.component import provideUtility

    provideUtility(handmade_source, IHandmadeSource)
