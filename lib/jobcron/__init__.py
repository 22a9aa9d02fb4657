"""jobcron: batch jobs in your own database, run by cron.

Public names are importable from here. They are loaded when they are first used, so that importing jobcron costs
nothing: a tick with nothing to do loads almost none of them.
"""

from __future__ import annotations

import sys

__version__ = "0.1.0"

TYPE_CHECKING = False  # as typing has it, whose import would be a tenth of a tick

if TYPE_CHECKING:
    from jobcron.alarm import disable_oops_handler as disable_oops_handler
    from jobcron.database import Database as Database
    from jobcron.errors import ConfigurationError as ConfigurationError
    from jobcron.errors import CrashLimitReached as CrashLimitReached
    from jobcron.errors import DatabaseUnavailable as DatabaseUnavailable
    from jobcron.errors import DefinitionChanged as DefinitionChanged
    from jobcron.errors import DirectoryError as DirectoryError
    from jobcron.errors import DuplicateJob as DuplicateJob
    from jobcron.errors import DuplicateJobType as DuplicateJobType
    from jobcron.errors import FailedJobError as FailedJobError
    from jobcron.errors import IncompleteJobType as IncompleteJobType
    from jobcron.errors import Interrupted as Interrupted
    from jobcron.errors import InvalidJobData as InvalidJobData
    from jobcron.errors import InvalidTransition as InvalidTransition
    from jobcron.errors import JobcronError as JobcronError
    from jobcron.errors import LeaseHeld as LeaseHeld
    from jobcron.errors import LeaseLost as LeaseLost
    from jobcron.errors import LockHeld as LockHeld
    from jobcron.errors import MemoryLimitExceeded as MemoryLimitExceeded
    from jobcron.errors import NoSession as NoSession
    from jobcron.errors import NothingToDoJob as NothingToDoJob
    from jobcron.errors import OutputLimitExceeded as OutputLimitExceeded
    from jobcron.errors import ProcessDied as ProcessDied
    from jobcron.errors import ProcessNotStarted as ProcessNotStarted
    from jobcron.errors import RetryableJobError as RetryableJobError
    from jobcron.errors import SchemaMismatch as SchemaMismatch
    from jobcron.errors import SuspendJobException as SuspendJobException
    from jobcron.errors import TimeLimitExceeded as TimeLimitExceeded
    from jobcron.errors import UnknownFunction as UnknownFunction
    from jobcron.errors import UnknownJobType as UnknownJobType
    from jobcron.errors import UserMistake as UserMistake
    from jobcron.family import FamilyRow as FamilyRow
    from jobcron.family import JobType as JobType
    from jobcron.family import job_type_column as job_type_column
    from jobcron.family import render_item as render_item
    from jobcron.instance import load_settings as load_settings
    from jobcron.interfaces import IJob as IJob
    from jobcron.interfaces import IJobRunner as IJobRunner
    from jobcron.interfaces import IJobSource as IJobSource
    from jobcron.interfaces import IRunnableJob as IRunnableJob
    from jobcron.interfaces import JobStatus as JobStatus
    from jobcron.isolation.runner import ProcessJobRunner as ProcessJobRunner
    from jobcron.isolation.runner import TwistedJobRunner as TwistedJobRunner
    from jobcron.job import Job as Job
    from jobcron.metrics import JobEnded as JobEnded
    from jobcron.metrics import JobStarted as JobStarted
    from jobcron.metrics import JobTakenOver as JobTakenOver
    from jobcron.metrics import ReadyCounted as ReadyCounted
    from jobcron.metrics import RunEnded as RunEnded
    from jobcron.notify import after_commit as after_commit
    from jobcron.notify import new_mail as new_mail
    from jobcron.notify import send as send
    from jobcron.oops import globalErrorUtility as globalErrorUtility
    from jobcron.runnable import BaseRunnableJob as BaseRunnableJob
    from jobcron.runner import JobRunner as JobRunner
    from jobcron.script import CronScript as CronScript
    from jobcron.script import JobCronScript as JobCronScript
    from jobcron.sessions import current_session as current_session
    from jobcron.sessions import share_session as share_session
    from jobcron.source import new_job as new_job
    from jobcron.tables import include_object as include_object

_HOMES = {
    "alarm": ("disable_oops_handler",),
    "database": ("Database",),
    "sessions": ("current_session", "share_session"),
    "errors": (
        "ConfigurationError",
        "CrashLimitReached",
        "DatabaseUnavailable",
        "DefinitionChanged",
        "DirectoryError",
        "DuplicateJob",
        "DuplicateJobType",
        "FailedJobError",
        "IncompleteJobType",
        "Interrupted",
        "InvalidJobData",
        "InvalidTransition",
        "JobcronError",
        "LeaseHeld",
        "LeaseLost",
        "LockHeld",
        "MemoryLimitExceeded",
        "NoSession",
        "NothingToDoJob",
        "OutputLimitExceeded",
        "ProcessDied",
        "ProcessNotStarted",
        "RetryableJobError",
        "SchemaMismatch",
        "SuspendJobException",
        "TimeLimitExceeded",
        "UnknownFunction",
        "UnknownJobType",
        "UserMistake",
    ),
    "family": ("FamilyRow", "JobType", "job_type_column", "render_item"),
    "instance": ("load_settings",),
    "interfaces": ("IJob", "IJobRunner", "IJobSource", "IRunnableJob", "JobStatus"),
    "isolation.runner": ("ProcessJobRunner", "TwistedJobRunner"),
    "job": ("Job",),
    "metrics": ("JobEnded", "JobStarted", "JobTakenOver", "ReadyCounted", "RunEnded"),
    "notify": ("after_commit", "new_mail", "send"),
    "oops": ("globalErrorUtility",),
    "runnable": ("BaseRunnableJob",),
    "runner": ("JobRunner",),
    "script": ("CronScript", "JobCronScript"),
    "source": ("new_job",),
    "tables": ("include_object",),
}

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"{__name__}.{_HOME_OF[name]}"
    __import__(module)
    value = getattr(sys.modules[module], name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
