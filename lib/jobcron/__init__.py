"""jobcron: batch jobs in your own database, run by cron.

Public names are importable from here. They are loaded when they are first used, so that importing jobcron costs
nothing: a tick with nothing to do loads almost none of them.
"""

from __future__ import annotations

import sys

from jobcron._version import __version__ as __version__

TYPE_CHECKING = False  # as typing has it, whose import would be a tenth of a tick

if TYPE_CHECKING:
    from jobcron.database.after_commit import after_commit as after_commit
    from jobcron.database.database import Database as Database
    from jobcron.database.sessions import current_session as current_session
    from jobcron.database.sessions import share_session as share_session
    from jobcron.database.transactions import prepare_engine as prepare_engine
    from jobcron.database.version import include_object as include_object
    from jobcron.errors import ChangedMeanwhile as ChangedMeanwhile
    from jobcron.errors import ConfigurationError as ConfigurationError
    from jobcron.errors import CrashLimitReached as CrashLimitReached
    from jobcron.errors import DatabaseUnavailable as DatabaseUnavailable
    from jobcron.errors import DatabaseUnusable as DatabaseUnusable
    from jobcron.errors import DefinitionChanged as DefinitionChanged
    from jobcron.errors import DirectoryError as DirectoryError
    from jobcron.errors import DuplicateJob as DuplicateJob
    from jobcron.errors import DuplicateJobType as DuplicateJobType
    from jobcron.errors import FailedJobError as FailedJobError
    from jobcron.errors import IncompleteJobType as IncompleteJobType
    from jobcron.errors import Interrupted as Interrupted
    from jobcron.errors import InvalidDuration as InvalidDuration
    from jobcron.errors import InvalidJobData as InvalidJobData
    from jobcron.errors import InvalidRow as InvalidRow
    from jobcron.errors import InvalidTransition as InvalidTransition
    from jobcron.errors import JobCancelled as JobCancelled
    from jobcron.errors import JobcronError as JobcronError
    from jobcron.errors import LeaseHeld as LeaseHeld
    from jobcron.errors import LeaseLost as LeaseLost
    from jobcron.errors import LeavesGroup as LeavesGroup
    from jobcron.errors import LockHeld as LockHeld
    from jobcron.errors import MemoryLimitExceeded as MemoryLimitExceeded
    from jobcron.errors import MissingClass as MissingClass
    from jobcron.errors import MissingCode as MissingCode
    from jobcron.errors import NoSession as NoSession
    from jobcron.errors import NoSuchJob as NoSuchJob
    from jobcron.errors import NothingToDoJob as NothingToDoJob
    from jobcron.errors import OutputLimitExceeded as OutputLimitExceeded
    from jobcron.errors import ProcessDied as ProcessDied
    from jobcron.errors import ProcessNotStarted as ProcessNotStarted
    from jobcron.errors import RetryableJobError as RetryableJobError
    from jobcron.errors import SchemaMismatch as SchemaMismatch
    from jobcron.errors import SelfDeadlock as SelfDeadlock
    from jobcron.errors import SuspendJobException as SuspendJobException
    from jobcron.errors import TimeLimitExceeded as TimeLimitExceeded
    from jobcron.errors import UnknownFunction as UnknownFunction
    from jobcron.errors import UnknownJobType as UnknownJobType
    from jobcron.errors import UserMistake as UserMistake
    from jobcron.errors import WrongSession as WrongSession
    from jobcron.interfaces import IDispatcher as IDispatcher
    from jobcron.interfaces import IJob as IJob
    from jobcron.interfaces import IJobRunner as IJobRunner
    from jobcron.interfaces import IJobSource as IJobSource
    from jobcron.interfaces import IRunnableJob as IRunnableJob
    from jobcron.interfaces import JobStatus as JobStatus
    from jobcron.jobs.family import FamilyRow as FamilyRow
    from jobcron.jobs.family import JobType as JobType
    from jobcron.jobs.family import job_type_column as job_type_column
    from jobcron.jobs.family import render_item as render_item
    from jobcron.jobs.graphs.elements import chain as chain
    from jobcron.jobs.graphs.elements import group as group
    from jobcron.jobs.job import Job as Job
    from jobcron.jobs.runnable import BaseRunnableJob as BaseRunnableJob
    from jobcron.jobs.source import new_job as new_job
    from jobcron.reports.alarm import disable_oops_handler as disable_oops_handler
    from jobcron.reports.mail import new_mail as new_mail
    from jobcron.reports.mail import send as send
    from jobcron.reports.metric_events import JobEnded as JobEnded
    from jobcron.reports.metric_events import JobStarted as JobStarted
    from jobcron.reports.metric_events import JobTakenOver as JobTakenOver
    from jobcron.reports.metric_events import ReadyCounted as ReadyCounted
    from jobcron.reports.metric_events import RunEnded as RunEnded
    from jobcron.reports.oops import globalErrorUtility as globalErrorUtility
    from jobcron.runner.isolated.runner import ProcessJobRunner as ProcessJobRunner
    from jobcron.runner.isolated.runner import TwistedJobRunner as TwistedJobRunner
    from jobcron.runner.job_runner import JobRunner as JobRunner
    from jobcron.schedules.definitions import add_schedule as add_schedule
    from jobcron.scripts.cron_script import CronScript as CronScript
    from jobcron.scripts.job_script import JobCronScript as JobCronScript
    from jobcron.scripts.prune import Pruning as Pruning
    from jobcron.settings.instance import load_settings as load_settings

_HOMES = {
    "database.after_commit": ("after_commit",),
    "database.database": ("Database",),
    "database.sessions": ("current_session", "share_session"),
    "database.version": ("include_object",),
    "database.transactions": ("prepare_engine",),
    "errors": (
        "ChangedMeanwhile",
        "ConfigurationError",
        "CrashLimitReached",
        "DatabaseUnavailable",
        "DatabaseUnusable",
        "DefinitionChanged",
        "DirectoryError",
        "DuplicateJob",
        "DuplicateJobType",
        "FailedJobError",
        "IncompleteJobType",
        "Interrupted",
        "InvalidDuration",
        "InvalidJobData",
        "InvalidRow",
        "InvalidTransition",
        "JobcronError",
        "JobCancelled",
        "LeaseHeld",
        "LeaseLost",
        "LeavesGroup",
        "LockHeld",
        "MemoryLimitExceeded",
        "MissingClass",
        "MissingCode",
        "NoSession",
        "NoSuchJob",
        "NothingToDoJob",
        "OutputLimitExceeded",
        "ProcessDied",
        "ProcessNotStarted",
        "RetryableJobError",
        "SchemaMismatch",
        "SelfDeadlock",
        "SuspendJobException",
        "TimeLimitExceeded",
        "UnknownFunction",
        "UnknownJobType",
        "UserMistake",
        "WrongSession",
    ),
    "interfaces": ("IDispatcher", "IJob", "IJobRunner", "IJobSource", "IRunnableJob", "JobStatus"),
    "jobs.family": ("FamilyRow", "JobType", "job_type_column", "render_item"),
    "jobs.graphs.elements": ("chain", "group"),
    "jobs.job": ("Job",),
    "jobs.runnable": ("BaseRunnableJob",),
    "jobs.source": ("new_job",),
    "reports.alarm": ("disable_oops_handler",),
    "reports.mail": ("new_mail", "send"),
    "reports.metric_events": ("JobEnded", "JobStarted", "JobTakenOver", "ReadyCounted", "RunEnded"),
    "reports.oops": ("globalErrorUtility",),
    "runner.isolated.runner": ("ProcessJobRunner", "TwistedJobRunner"),
    "runner.job_runner": ("JobRunner",),
    "schedules.definitions": ("add_schedule",),
    "scripts.cron_script": ("CronScript",),
    "scripts.job_script": ("JobCronScript",),
    "scripts.prune": ("Pruning",),
    "settings.instance": ("load_settings",),
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
