"""The table of jobs about foos, and the base of their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship
from zope.interface import implementer

from jobcron import BaseRunnableJob, FamilyRow, job_type_column
from seedapp.interfaces.foojob import FooJobType, IFooJob
from seedapp.model.foo import Base, Foo


@implementer(IFooJob)
class FooJob(FamilyRow, Base):
    """What jobs about foos have besides the shared row."""

    __tablename__ = "seed_foo_job"

    job_type: Mapped[Any] = job_type_column(FooJobType)
    foo_id: Mapped[int] = mapped_column(ForeignKey("seed_foo.id"))
    foo: Mapped[Foo] = relationship()


@implementer(IFooJob)
class FooJobDerived(BaseRunnableJob[FooJob]):
    """Base of the job classes around a `FooJob`; what `IFooJob` says that it has is read from there."""

    if TYPE_CHECKING:
        foo: Foo
