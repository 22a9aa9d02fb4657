"""Things that change, and jobs of every kind that see what was changed: the application of `test_acquire`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from jobcron import BaseRunnableJob, FamilyRow, JobType, job_type_column
from jobcron.functions import FunctionJob, job, job_as_parameter
from jobcron.steps import StepsJob

KINDS = ("family", "keyed", "about", "anything", "function", "steps")

RUN_SECONDS = 0.05

HELD = 1_000_000
"""From this number on, things are those whose job is in the middle of its first attempt until a run is stopped."""

HELD_SECONDS = 600.0

HELD_VARIABLE = "ACQUIRE_HELD"
"""The variable with the folder in which a file says that the job about a thing is held."""


class Base(DeclarativeBase):
    """The application's metadata."""


class Thing(Base):
    """What changes."""

    __tablename__ = "acquired_thing"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    version: Mapped[int] = mapped_column(default=0)


class Seen(Base):
    """The version of a thing that a committed run has seen; in a row of its own, for which no caller waits."""

    __tablename__ = "acquired_seen"

    thing: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(default=0)


class Changed(Base):
    """A change that was committed, and the job that was got for it: written with it."""

    __tablename__ = "acquired_change"

    id: Mapped[int] = mapped_column(primary_key=True)
    thing: Mapped[int]
    version: Mapped[int]
    uuid: Mapped[UUID]


class ThingJobType(JobType):
    """The types of jobs of the family."""

    SEE = 1


class ThingJob(FamilyRow, Base):
    """The family's table."""

    __tablename__ = "acquired_thing_job"

    job_type: Mapped[ThingJobType] = job_type_column(ThingJobType)
    thing_id: Mapped[int] = mapped_column(ForeignKey("acquired_thing.id"))
    thing: Mapped[Thing] = relationship()


class SeeingJobType(JobType):
    """The types of jobs without a table."""

    KEYED = 1
    ABOUT = 2
    ANYTHING = 3


def version_of(session: Session, thing: int) -> int:
    """Return the version of a thing that a transaction sees."""
    return session.scalars(select(Thing.version).where(Thing.id == thing)).one()


def note(session: Session, thing: int, version: int) -> None:
    """Note a version as seen, after a while in which others change it."""
    time.sleep(RUN_SECONDS)
    session.execute(update(Seen).where(Seen.thing == thing, Seen.version < version).values(version=version))


def look_at(job: Any, thing: int) -> int:
    """Return the version of a thing; in the first attempt about one that is held, stay until the run is stopped.

    On SQLite that is before it looks: later nobody else could change anything.
    """
    is_here = Path(os.environ.get(HELD_VARIABLE, ""), str(thing))
    is_held = thing >= HELD and not is_here.exists()
    version = 0 if is_held and job.session.get_bind().dialect.name == "sqlite" else version_of(job.session, thing)
    if is_held:
        is_here.touch()
        time.sleep(HELD_SECONDS)
    return version


def see(job: Any, thing: int) -> None:
    """See a thing."""
    note(job.session, thing, look_at(job, thing))


class FamilyJob(BaseRunnableJob[ThingJob]):
    """One of a family."""

    class_job_type = ThingJobType.SEE

    def run(self) -> None:
        """See it."""
        see(self, self.context.thing_id)


class KeyedJob(BaseRunnableJob):
    """One with a key of its own, and no target."""

    class_job_type = SeeingJobType.KEYED
    thing: int
    reason: str = ""

    def run(self) -> None:
        """See it."""
        see(self, self.thing)


class AboutJob(BaseRunnableJob):
    """One about a thing."""

    class_job_type = SeeingJobType.ABOUT
    target: Thing
    reason: str = ""

    def run(self) -> None:
        """See it."""
        see(self, self.target.id)


class AnythingJob(BaseRunnableJob):
    """One about any object."""

    class_job_type = SeeingJobType.ANYTHING
    target: object

    def run(self) -> None:
        """See it."""
        assert isinstance(self.target, Thing)
        see(self, self.target.id)


@job
@job_as_parameter
def see_thing(call: FunctionJob, thing: int, reason: str = "") -> None:
    """See it."""
    see(call, thing)


class SeeingSteps(StepsJob):
    """One of two tasks: the first sees."""

    name = "seeing"
    tasks = ["acquireapp.look", "acquireapp.tell"]


def look(job: StepsJob) -> None:
    """See it."""
    job.workspace["version"] = look_at(job, job.workspace["thing"])
    time.sleep(RUN_SECONDS)


def tell(job: StepsJob) -> None:
    """Note what the first task saw."""
    note(job.session, job.workspace["thing"], job.workspace["version"])


SECTIONS = "".join(
    f"[{name}]\nsource_interface: {source}\n\n"
    for name, source in zip(
        KINDS,
        (
            "acquireapp.FamilyJob",
            "acquireapp.KeyedJob",
            "acquireapp.AboutJob",
            "acquireapp.AnythingJob",
            "jobcron.functions.FunctionJob",
            "acquireapp.SeeingSteps",
        ),
        strict=True,
    )
)


def make_things(session: Session, count: int) -> None:
    """Make things, and two of each kind that are held, and that nobody has seen them."""
    for number in (*range(1, count + 1), *range(HELD, HELD + 2 * len(KINDS))):
        session.add(Thing(id=number, kind=KINDS[number % len(KINDS)]))
        session.add(Seen(thing=number))
