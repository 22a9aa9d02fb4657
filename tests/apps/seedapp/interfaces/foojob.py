"""The interfaces of jobs about foos, and their types."""

from __future__ import annotations

from lazr.enum import DBEnumeratedType, DBItem
from zope.interface import Interface
from zope.schema import Dict, Int, Object

from jobcron import IJob, IJobSource, IRunnableJob
from seedapp.interfaces.foo import IFoo


class FooJobType(DBEnumeratedType):  # type: ignore[misc]
    """The types of jobs about foos."""

    DO_FOO = DBItem(0, "Do foo")


class IFooJob(Interface):
    """A Job related to a Foo."""

    id = Int(title="DB ID", required=True, readonly=True, description="The tracking number for this job.")
    foo = Object(title="The Foo this job is about.", schema=IFoo, required=True)
    job = Object(title="The common Job attributes", schema=IJob, required=True)
    metadata = Dict(title="A dict of data about the job.")


class IFooJobSource(IJobSource):
    """An interface for acquiring IFooJobs."""

    def create(foo: object) -> object:
        """Create a new IFooJobs for a foo."""


class IDoFooJob(IRunnableJob):
    """A Job to do Foo."""


class IDoFooJobSource(IFooJobSource):
    """An interface for acquiring DoFooJobs."""
