"""The job that the page makes."""

from __future__ import annotations

from zope.interface import implementer, provider

from jobcron import BaseRunnableJob
from seedapp.interfaces.foojob import FooJobType, IDoFooJob, IDoFooJobSource
from seedapp.model.foojob import FooJobDerived


@implementer(IDoFooJob)
@provider(IDoFooJobSource)
class DoFooJob(FooJobDerived):
    """Frozzle a foo."""

    class_job_type = FooJobType.DO_FOO

    def run(self) -> None:
        """See `IRunnableJob`."""
        self.foo.some_attribute = "frozzled"

    def getOopsVars(self) -> list[tuple[str, object]]:
        """See `IRunnableJob`."""
        vars = BaseRunnableJob.getOopsVars(self)
        vars.extend(
            [
                ("foo_id", self.context.foo.id),
                ("foo_job_id", self.context.id),
                ("foo_job_type", self.context.job_type.title),
            ]
        )
        return vars
