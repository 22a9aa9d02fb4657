"""The application of the benchmarks: a family of jobs about a target, as in the README, that do nothing."""

from __future__ import annotations

import time

from sqlalchemy import ForeignKey, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bench import TARGET_ID
from jobcron import BaseRunnableJob, Database, FamilyRow, JobType, job_type_column
from jobcron.database.upgrade import upgrade_schema
from jobcron.jobs.known_types import registered_sources, sync

NAP_SECONDS = 0.05

WORK_SECONDS = 0.001


class Base(DeclarativeBase):
    """The application's own metadata."""


class Foo(Base):
    """What jobs are about."""

    __tablename__ = "foo"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column()


class FooJobType(JobType):
    """The types of jobs about foos."""

    NO_OP = 0, "Do nothing"
    NAP = 1, "Take a nap"
    WORK = 2, "Work for a millisecond"
    WRITE = 3, "Change a row"
    GROUPED = 4, "Do nothing, together with others"


class FooJob(FamilyRow, Base):
    """The family's table."""

    __tablename__ = "foo_job"

    job_type: Mapped[FooJobType] = job_type_column(FooJobType)
    foo_id: Mapped[int] = mapped_column(ForeignKey("foo.id"))
    foo: Mapped[Foo] = relationship()


class NoOpJob(BaseRunnableJob[FooJob]):
    """A job that does nothing."""

    class_job_type = FooJobType.NO_OP

    def run(self) -> None:
        """Do nothing."""


class GroupedJob(BaseRunnableJob[FooJob]):
    """A job that does nothing, and shares a transaction with others."""

    class_job_type = FooJobType.GROUPED
    database_only = True
    group_commit = True

    def run(self) -> None:
        """Do nothing."""


class NapJob(BaseRunnableJob[FooJob]):
    """A job that does nothing for a moment, and then changes a row by the ORM."""

    class_job_type = FooJobType.NAP

    def run(self) -> None:
        """Wait, and write."""
        time.sleep(NAP_SECONDS)
        self.context.foo.name = f"foo {self.job.id}"


class WriteJob(BaseRunnableJob[FooJob]):
    """A job that changes a row by the ORM."""

    class_job_type = FooJobType.WRITE

    def run(self) -> None:
        """Write."""
        self.context.foo.name = "written"


class WorkJob(BaseRunnableJob[FooJob]):
    """A job that uses the processor for a millisecond."""

    class_job_type = FooJobType.WORK

    def run(self) -> None:
        """Work."""
        end = time.thread_time() + WORK_SECONDS
        while time.thread_time() < end:
            pass


def make_tables(database: Database) -> None:
    """Make all tables and the foo, and register the job type, in an empty database."""
    with database.begin() as connection:
        upgrade_schema(connection, database.describe())
        Base.metadata.create_all(connection)
        sync(connection, registered_sources())
        connection.execute(insert(Foo).values(id=TARGET_ID, name="foo"))


def fill(database: Database, jobs: int) -> None:
    """Make so many ready jobs that do nothing, in one transaction."""
    with database.session() as session:
        foo = session.get_one(Foo, TARGET_ID)
        for _ in range(jobs):
            NoOpJob.create(foo)
        session.commit()


def fill_grouped(database: Database, jobs: int) -> None:
    """Make so many ready jobs that share transactions, in one transaction."""
    with database.session() as session:
        GroupedJob.createMultiple([session.get_one(Foo, TARGET_ID)] * jobs)
        session.commit()


def fill_writing(database: Database, jobs: int) -> None:
    """Make so many ready jobs that change a row, each one of its own, in one transaction."""
    with database.session() as session:
        foos = [Foo(id=TARGET_ID + number, name="foo") for number in range(1, jobs + 1)]
        session.add_all(foos)
        session.flush()
        for foo in foos:
            WriteJob.create(foo)
        session.commit()
