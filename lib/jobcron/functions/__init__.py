"""Jobs from plain functions, with the interfaces of the OpenERP connector's queue and of django-future.

::

    @job
    def export(model: str, number: int) -> None: ...

    export("partner", 7)                                  # a plain call
    export.delay("partner", 7, eta=3600)                  # a job

    schedule_job("5d", "shop.mail.remind", args=[7])      # by the name of a registered function

A section with ``source_interface: jobcron.functions.FunctionJob``, or with the key ``functions``, runs them.
Entry points: `registered` holds the functions that rows may name, `calls` has the job that calls a function,
`configured` registers the functions that sections list, and `creating` creates jobs of any class or function from
JSON.
"""

from jobcron.functions._decorators import job, job_as_parameter, related_action
from jobcron.functions._delay import DelayableFunction, Delayed, identity_exact
from jobcron.functions._schedule import schedule_job
from jobcron.functions._state import FunctionState
from jobcron.functions.calls import FunctionJob
from jobcron.functions.configured import register_configured
from jobcron.functions.registered import register

__all__ = [
    "DelayableFunction",
    "Delayed",
    "FunctionJob",
    "FunctionState",
    "identity_exact",
    "job",
    "job_as_parameter",
    "register",
    "register_configured",
    "related_action",
    "schedule_job",
]
