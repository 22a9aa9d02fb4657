"""Things that change, and jobs of every kind that see what was changed: the application of `test_acquire`."""

from __future__ import annotations

import time

from sqlalchemy import ForeignKey, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from jobcron import BaseRunnableJob, FamilyRow, JobType, current_session, job_type_column
from jobcron.functions import job
from jobcron.steps import StepsJob

KINDS = ("family", "keyed", "about", "anything", "function", "steps")

RUN_SECONDS = 0.05


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


def see(session: Session, thing: int) -> None:
    """See a thing."""
    note(session, thing, version_of(session, thing))


class FamilyJob(BaseRunnableJob[ThingJob]):
    """One of a family."""

    class_job_type = ThingJobType.SEE

    def run(self) -> None:
        """See it."""
        see(self.session, self.context.thing_id)


class KeyedJob(BaseRunnableJob):
    """One with a key of its own, and no target."""

    class_job_type = SeeingJobType.KEYED
    thing: int

    def run(self) -> None:
        """See it."""
        see(self.session, self.thing)


class AboutJob(BaseRunnableJob):
    """One about a thing."""

    class_job_type = SeeingJobType.ABOUT
    target: Thing

    def run(self) -> None:
        """See it."""
        see(self.session, self.target.id)


class AnythingJob(BaseRunnableJob):
    """One about any object."""

    class_job_type = SeeingJobType.ANYTHING
    target: object

    def run(self) -> None:
        """See it."""
        assert isinstance(self.target, Thing)
        see(self.session, self.target.id)


@job
def see_thing(thing: int) -> None:
    """See it."""
    see(current_session(), thing)


class SeeingSteps(StepsJob):
    """One of two tasks: the first sees."""

    name = "seeing"
    tasks = ["acquireapp.look", "acquireapp.tell"]


def look(job: StepsJob) -> None:
    """See it."""
    job.workspace["version"] = version_of(job.session, job.workspace["thing"])
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
    """Make things, and that nobody has seen them."""
    for number in range(count):
        session.add(Thing(id=number + 1, kind=KINDS[number % len(KINDS)]))
        session.add(Seen(thing=number + 1))
