"""Examine an instance: each trouble by its name, with its remedy. Nothing is changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat

from sqlalchemy import Connection, select

from jobcron.database.clock import age_in_seconds, database_now
from jobcron.database.tables import Event
from jobcron.database.version import REVISION, newer_version
from jobcron.jobs import known_types
from jobcron.jobs.job import Job
from jobcron.jobs.moves.pauses import Scope
from jobcron.operations._obstacles.section import section_reasons
from jobcron.operations.faults.dispatch import dispatch_findings
from jobcron.operations.faults.families import family_findings
from jobcron.operations.faults.guards import guard_findings
from jobcron.operations.faults.locks import lock_findings
from jobcron.operations.faults.plans import plan_findings
from jobcron.operations.faults.postgresql import notify_findings, postgresql_findings
from jobcron.operations.faults.roles import role_findings
from jobcron.operations.faults.sqlite import sqlite_findings
from jobcron.operations.processes.workers import check_workers
from jobcron.operations.reasons import Cause, Finding, explanation, moment, span
from jobcron.queue.health import Health, check_pauses, check_script, check_section, check_types
from jobcron.reports.old_reports import prune_reports
from jobcron.reports.plurals import counted
from jobcron.schedules.health import check_schedules
from jobcron.settings.settings import Settings

__all__ = ["Finding", "examine"]

CLOCK_SLACK = timedelta(minutes=1)

PRUNED_WITHIN = timedelta(days=3)
"""How much longer than its time an old row may stay."""

FREE_BYTES = 1 << 30
FREE_BYTES_CRITICAL = 1 << 27
"""How much room the disks need, so that a job's end and its report can be written."""


def examine(connection: Connection, settings: Settings) -> list[Finding]:
    """Return what is wrong with an instance, the worst first.

    Args:
        connection: a connection of the instance's own role, in a transaction that only reads.
        settings: the instance's settings; its application has been imported.
    """
    is_postgresql = connection.dialect.name == "postgresql"
    findings = [
        *guard_findings(connection),
        *(postgresql_findings if is_postgresql else sqlite_findings)(connection),
        *(notify_findings(connection) if is_postgresql and settings.notify else ()),
        *(role_findings(connection, _roles(settings)) if is_postgresql else ()),
        *_version(connection),
        *family_findings(connection, settings),
        *plan_findings(connection),
        *_clock(connection),
        *_types(connection, settings),
        *_sections(connection, settings),
        *_scripts(connection, settings),
        *_schedules(connection, settings),
        *_pauses(connection),
        *_workers(connection),
        *dispatch_findings(connection, settings),
        *lock_findings(connection, settings),
        *_pruning(connection, settings),
        *_old_reports(settings),
        *_disks(connection, settings),
    ]
    return sorted(findings, key=lambda finding: -finding.health.severity)


def _roles(settings: Settings) -> list[str]:
    """Return the roles as which sections run."""
    return [section.dbuser for section in settings.sections.values() if section.dbuser is not None]


def _version(connection: Connection) -> Iterator[Finding]:
    found = newer_version(connection)
    if found is not None:
        told = f"the tables are of version {found}, and this host's code is made for {REVISION}"
        yield Finding("schema", Health.WARNING, told, "install the release of jobcron that upgraded them here too")


def _clock(connection: Connection) -> Iterator[Finding]:
    now = connection.scalar(select(database_now()))
    assert now is not None
    ahead = datetime.now(UTC) - now
    if abs(ahead) > CLOCK_SLACK:
        told = f"this machine's clock differs from the database's by {span(abs(ahead))}; jobs go by the database's"
        yield Finding("clock", Health.WARNING, told, "set the clocks of both machines by NTP")
    newest = connection.scalar(select(Job.date_created).order_by(Job.id.desc()).limit(1))
    if newest is not None and newest - now > CLOCK_SLACK:
        told = f"a job was created at {moment(newest)}, and it is {moment(now)}: the clock was set back"
        yield Finding("clock", Health.WARNING, told, "jobs wait until then: jobcron run-now")


def _types(connection: Connection, settings: Settings) -> Iterator[Finding]:
    for check in check_types(connection, settings):
        yield Finding("types", check.health, check.text, "a section with its source_interface")
    for name, pending in known_types.unclaimed(connection):
        told = f"{pending} of the type {name}, which no class of this application has"
        yield Finding("types", Health.WARNING, told, "import the module that defines it, or jobcron cancel --type")


SECTION_REMEDIES = (
    "jobcron why --section {}",
    "jobcron oops --group, and jobcron jobs --section {} --status failed",
    "jobcron why --section {}",
    "end the lease by hand: job.endLease()",
    "jobcron jobs --section {} --status running",
    "jobcron why of the first of jobcron jobs --section {} --status waiting --due-within 0s",
)
"""For waiting, failures, what is left behind, leases, the longest run, and no progress: see `check_section`."""

SILENCES = (Cause.NEVER_RUN, Cause.SILENT)

PAUSE_REMEDY = "jobcron unpause, or jobcron pause --until so that it ends by itself"


def _sections(connection: Connection, settings: Settings) -> Iterator[Finding]:
    for section in settings.sections.values():
        silence, *checks = check_section(connection, settings, section)
        for reason in explanation(list(section_reasons(connection, settings, section, counts=False))).reasons:
            if reason.is_blocking and reason.cause is not Cause.PAUSED:  # a check tells that
                health = Health.CRITICAL
                if reason.cause in SILENCES:  # the same trouble is as bad as `jobcron check-runs` says
                    health = silence.health or Health.WARNING
                yield Finding("sections", health, reason.text, reason.remedy or "jobcron why --section")
        for check, remedy in zip(checks, chain(SECTION_REMEDIES, repeat(PAUSE_REMEDY)), strict=False):
            if check.health is not Health.OK:
                told = f"section {section.name}: {check.text}"
                yield Finding("sections", check.health, told, remedy.format(section.name))


def _scripts(connection: Connection, settings: Settings) -> Iterator[Finding]:
    for name in settings.watch_scripts or ():
        for check in check_script(connection, settings, name):
            if check.health is not Health.OK:
                yield Finding("scripts", check.health, f"{name}: {check.text}", "is its line in a crontab?")


def _schedules(connection: Connection, settings: Settings) -> Iterator[Finding]:
    for check in check_schedules(connection, settings, lambda: True, is_loaded=True):
        if check.health is not Health.OK:
            name = check.text.partition(":")[0]
            yield Finding("schedules", check.health, check.text, f"jobcron why --schedule {name}")


def _pauses(connection: Connection) -> Iterator[Finding]:
    for name, scope in (("queues", Scope.QUEUE), ("channels", Scope.CHANNEL)):
        for check in check_pauses(connection, scope):
            if check.health is not Health.OK:
                yield Finding(name, check.health, check.text, PAUSE_REMEDY)


def _workers(connection: Connection) -> Iterator[Finding]:
    for check in check_workers(connection):
        if check.health is not Health.OK:
            yield Finding("workers", check.health, check.text, "start it again; its row goes by itself")


def _pruning(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Find events that should have been removed: then jobs, runs and reports have not been either."""
    if settings.keep_events is None:
        return
    limit = timedelta(seconds=settings.keep_events) + PRUNED_WITHIN
    age = connection.scalar(select(age_in_seconds(Event.at)).order_by(Event.id).limit(1))
    if age is not None and age > limit.total_seconds():
        told = (
            f"an event is {span(timedelta(seconds=age))} old, and keep_events is shorter: nothing removes old rows"
        )
        yield Finding("pruning", Health.WARNING, told, "a line for jobcron prune: jobcron crontab prints it")


def _old_reports(settings: Settings) -> Iterator[Finding]:
    """Find reports that should have been removed, as on a host without `jobcron prune`: they are files."""
    kept = [settings.keep_oopses, settings.keep_completed, settings.keep_failed, settings.keep_cancelled]
    for section in settings.sections.values():
        kept += [section.keep_completed, section.keep_failed, section.keep_cancelled]
    times = [seconds for seconds in kept if seconds is not None]
    if len(times) < len(kept):  # a report stays as long as a job that names it
        return
    first = (datetime.now(UTC) - timedelta(seconds=max(times)) - PRUNED_WITHIN).date()
    for root in settings.report_directories():
        try:
            count = prune_reports(root, first, (), dry_run=True)
        except OSError as error:
            told = f"the directory of reports {root} cannot be read: {error.strerror}"
            yield Finding("reports", Health.WARNING, told, "rights for the user of jobcron")
            continue
        if count:
            told = f"{root} has {counted(count, 'report')} of the days before {first}: nothing removes old ones"
            yield Finding("reports", Health.WARNING, told, "a line for jobcron prune: jobcron crontab prints it")


def _disks(connection: Connection, settings: Settings) -> Iterator[Finding]:
    places = {"state_dir": settings.state_dir, "error_dir": settings.error_dir}
    if connection.dialect.name == "sqlite":
        places["database"] = os.path.dirname(connection.engine.url.database or "")
    for name, path in places.items():
        while path and not os.path.isdir(path):
            path = os.path.dirname(path)
        free = shutil.disk_usage(path or os.curdir).free
        if free < FREE_BYTES:
            health = Health.CRITICAL if free < FREE_BYTES_CRITICAL else Health.WARNING
            told = f"the disk of {name} {path} has {free >> 20:,} MiB left"
            yield Finding("disks", health, told, "make room: jobcron prune, old logs")
