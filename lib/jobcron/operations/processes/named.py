"""Which queues and channels somebody knows: a pause of another one holds up nothing."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from jobcron.database.tables import ChannelRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.moves.pauses import Scope
from jobcron.jobs.registry import registered
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.operations.processes.channels import is_within
from jobcron.settings.settings import Settings
from jobcron.settings.suggestions import suggestion

LOOKED = 10_000
"""How many of the jobs that wait, and of those that run, are looked at."""

DEFAULTS = {Scope.QUEUE: "queue_name", Scope.CHANNEL: "channel"}
"""What a class calls the queue or the channel of its jobs."""


def unknown_name(connection: Connection, settings: Settings, scope: Scope, name: str) -> str | None:
    """Return in words that nobody knows a queue or a channel, and which one may be meant; None: somebody does.

    Args:
        connection: only read.
        settings: the instance's; its application has been imported if that is possible.
        scope: whether it is a queue or a channel; others are always known.
        name: its name.
    """
    if scope not in DEFAULTS:
        return None
    known = {*_configured(settings, scope), *_of_classes(scope)} | _in_database(connection, scope)
    if any(_concerns(scope, name, other) for other in known):
        return None
    where = "section, class or job that waits or runs" + (", or limit," if scope is Scope.CHANNEL else "")
    return f"no {where} names the {scope} {name}{suggestion(name, known)}"


def _concerns(scope: Scope, name: str, other: str) -> bool:
    return name == other or (scope is Scope.CHANNEL and (is_within(other, name) or is_within(name, other)))


def _configured(settings: Settings, scope: Scope) -> Iterator[str]:
    for section in settings.sections.values():
        name = section.queue if scope is Scope.QUEUE else section.channel
        if name is not None:
            yield name
    if scope is Scope.CHANNEL:
        yield from settings.channels


def _of_classes(scope: Scope) -> Iterator[str]:
    for job_class in registered().values():
        if issubclass(job_class, BaseRunnableJob) and DEFAULTS[scope] in job_class.job_defaults:
            yield str(job_class.job_defaults[DEFAULTS[scope]])


def _in_database(connection: Connection, scope: Scope) -> set[str]:
    column = Job.queue_name if scope is Scope.QUEUE else Job.channel
    found: set[str | None] = set()
    for status in (JobStatus.WAITING, JobStatus.RUNNING):
        some = select(column.label("name")).where(has_status(status)).limit(LOOKED).subquery()
        found |= {*connection.scalars(select(some.c.name).distinct())}
    if scope is Scope.CHANNEL:
        found |= {*connection.scalars(select(ChannelRow.name))}
    return {name for name in found if name is not None}
