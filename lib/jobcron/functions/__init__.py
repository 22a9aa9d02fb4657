"""Jobs from plain functions: the ways of the OpenERP connector's queue and of django-future, on the same rows.

::

    @job
    def export(model: str, number: int) -> None: ...

    export("partner", 7)                                  # a plain call
    export.delay("partner", 7, eta=3600)                  # a job

    schedule_job("5d", "shop.mail.remind", args=[7])      # by the name of a registered function

A section with ``source_interface: jobcron.functions.FunctionJob`` runs them.
"""

from jobcron.functions.calls import FunctionJob, FunctionState
from jobcron.functions.delay import DelayableFunction, Delayed, identity_exact, job, related_action
from jobcron.functions.registered import job_as_parameter, register
from jobcron.functions.schedule import schedule_job

__all__ = [
    "DelayableFunction",
    "Delayed",
    "FunctionJob",
    "FunctionState",
    "identity_exact",
    "job",
    "job_as_parameter",
    "register",
    "related_action",
    "schedule_job",
]
