"""``jobcron check-config``: check everything possible without running a job, and show every problem at once."""

from __future__ import annotations

import argparse
import os
import socket
import stat
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy.exc import DBAPIError

from jobcron.commands._output import Finding, say
from jobcron.commands._printing import say_json
from jobcron.commands.checks._alembic import alembic_findings
from jobcron.commands.checks._channels import channel_findings
from jobcron.commands.checks._database import check_database
from jobcron.commands.checks._dispatch import dispatch_findings
from jobcron.commands.checks._explain import explain_database, explain_packages, explain_types
from jobcron.commands.checks._instances import check_instances
from jobcron.database.trouble import first_line
from jobcron.errors import (
    ConfigurationError,
    DirectoryError,
    UnknownFunction,
    UserMistake,
)
from jobcron.functions.calls import FunctionJob
from jobcron.functions.registered import function_named
from jobcron.jobs import registry
from jobcron.operations.processes.crontab import group_schedule
from jobcron.queue.sources import find_source
from jobcron.queue.views import SourceView
from jobcron.reports.metrics import find_hook
from jobcron.reports.oops import globalErrorUtility
from jobcron.reports.plurals import counted
from jobcron.runner.application import load_application, session_class_of
from jobcron.runner.job_runner import JobRunner
from jobcron.schedules.definitions import definitions_of, problem_of
from jobcron.scripts.control import DEFAULT, Control
from jobcron.scripts.groups import ProcessJobSources, groups_of
from jobcron.scripts.order import runner_class_of
from jobcron.scripts.prune import PruneJobs
from jobcron.scripts.worker.script import Worker, notified_at
from jobcron.settings.database_url import SQLITE, backend_of
from jobcron.settings.directories import check_shared_directory, private_directory
from jobcron.settings.instance import load_settings, presented
from jobcron.settings.named import dotted_name
from jobcron.settings.reading import read
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import Schedule, Section, Settings
from jobcron.settings.suggestions import suggestion
from jobcron.steps import StepsJob

SMTP_SECONDS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--explain", action="store_true", help="also say what was found where, and what runs it")


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    return check_config(options.config, as_json=options.json, explain=options.explain)


def check_config(config: str | None, *, as_json: bool = False, explain: bool = False) -> int:
    """Print the findings, and return the exit status: 0, 2 for the configuration, 1 for its environment.

    Args:
        config: the value of ``--config``.
        as_json: whether to print them as one JSON document.
        explain: whether to say as well what was found where.
    """
    # A wrong configuration is fixed first, so its status wins.
    worst, found = 0, []
    for finding in _findings(config, explain):
        found.append({"level": finding.level, "text": finding.text})
        worst = max(worst, finding.status)
        if not as_json:
            say(str(finding))
    if as_json:
        say_json({"status": worst, "findings": found})
    return worst


def _findings(config: str | None, explain: bool) -> Iterator[Finding]:
    try:
        settings = load_settings(config)
    except ConfigurationError as error:
        yield Finding(str(error), error.exit_status)  # nothing else can be checked
        return
    yield Finding(f"configuration {settings.path}")
    with presented(settings):
        if explain:
            yield from _guarded(settings, explain_database)
        application = list(_guarded(settings, _application))
        yield from application
        is_loaded = not any(finding.status for finding in application)
        explanations = (explain_packages, explain_types) if explain and is_loaded else ()
        checks = (_passwords, _sections, _groups, _schedules, _control, check_instances, _directories, _mail)
        more = (channel_findings, dispatch_findings, alembic_findings)
        for check in (*explanations, *checks, *more, partial(_databases, is_loaded=is_loaded)):
            yield from _guarded(settings, check)


def _guarded(settings: Settings, check: Callable[[Settings], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield a check's findings; the error that ends it is a finding too, without passwords."""
    try:
        yield from check(settings)
    except UserMistake as error:
        found = Finding(str(error), error.exit_status)
    except DBAPIError as error:
        found = Finding(f"database: {first_line(error.orig)}", 1)
    except (Exception, SystemExit) as error:  # most likely raised by the application; it would end a run, too
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"(in {last.filename}, line {last.lineno})"
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        found = Finding(f"unexpected {type(error).__name__}: {error} {place}{notes}", 1)
    else:
        return
    yield found._replace(text=Redactor(settings.secrets()).text(found.text))


def _application(settings: Settings) -> Iterator[Finding]:
    load_application(settings)
    globalErrorUtility.configure(settings=settings)
    globalErrorUtility.check()
    find_hook(settings)
    session_class_of(settings)
    named = " ".join(filter(None, [settings.application, *(settings.job_packages or ())]))
    if named:
        own = sum(not found.__module__.startswith("jobcron.") for found in registry.registered().values())
        yield Finding(f"application {named}: {counted(own, 'job type')}")
    else:
        yield Finding("application: none is named; the sources of sections have to be importable", is_warning=True)


def _sections(settings: Settings) -> Iterator[Finding]:
    if not settings.sections:
        yield Finding(f"{settings.path}: no section of jobs: nothing will be run", is_warning=True)
    for section in settings.sections.values():
        yield from _guarded(settings, partial(_section, section=section))


def _section(settings: Settings, section: Section) -> Iterator[Finding]:
    source = find_source(settings, section)
    runner = runner_class_of(settings, section)
    if isinstance(source, type) and not SourceView(source).has_run:
        raise ConfigurationError(
            f"{settings.path}: section [{section.name}], key source_interface: expected the jobs of "
            f"{dotted_name(source)} to have a method run, they have none"
        )
    if isinstance(source, type) and issubclass(source, StepsJob):
        source.check()
    if runner is JobRunner and (limit := SourceView(source).memory_limit) is not None:
        raise ConfigurationError(
            f"{settings.path}: section [{section.name}], key runner_class: expected ProcessJobRunner, because "
            f"{dotted_name(source)} has a memory_limit ({limit} bytes), which JobRunner does not keep"
        )
    runs = getattr(runner, "__name__", type(runner).__name__)
    yield Finding(f"section {section.name}: {dotted_name(source)}, run by {runs}, at {section.schedule}")
    yield from _kept_functions(settings, section, source)


def _kept_functions(settings: Settings, section: Section, source: object) -> Iterator[Finding]:
    """Report ineffective parts of ``keep_functions``: all of it in a section of other jobs, unknown names."""
    place = f"{settings.path}: section [{section.name}], key keep_functions"
    if section.keep_functions and not (isinstance(source, type) and issubclass(source, FunctionJob)):
        expected = f"expected a section whose source is {dotted_name(FunctionJob)}"
        yield Finding(f"{place}: {expected}, got {dotted_name(source)}: it does nothing", is_warning=True)
        return
    for name in section.keep_functions or ():
        try:
            function_named(name)
        except UnknownFunction as error:
            yield Finding(f"{place}: {error}", is_warning=True)


def _groups(settings: Settings) -> Iterator[Finding]:
    for group, sections in groups_of(settings).items():
        names = ", ".join(section.name for section in sections)
        yield Finding(f"group {group}, at {group_schedule(settings, group, sections)}: {names}")


def _schedules(settings: Settings) -> Iterator[Finding]:
    for schedule, origin in definitions_of(settings):
        yield from _guarded(settings, partial(_schedule, schedule=schedule, origin=origin))


def _schedule(settings: Settings, schedule: Schedule, origin: str) -> Iterator[Finding]:
    place = f"{origin}: schedule {schedule.name}"
    if schedule.name in settings.schedules:
        place = f"{settings.path}: section [schedule:{schedule.name}], key job"
    if (problem := problem_of(schedule)) is not None:
        raise ConfigurationError(f"{place}: {problem}")
    when = f"{schedule.cron} {schedule.time_zone}" if schedule.cron else f"every {schedule.every} s"
    yield Finding(f"schedule {schedule.name}: {schedule.job}, at {when}")


def _control(settings: Settings) -> Iterator[Finding]:
    """Report the sections that the control file switches off, and why the file cannot be used, once."""
    if settings.cron_control is None:
        return
    control = Control(settings.cron_control)
    place = settings.place("cron_control")
    verdicts = {name: control.ask(name) for name in (ProcessJobSources.control_name, *settings.sections)}
    for reason in sorted({verdict.reason for verdict in verdicts.values() if verdict.is_problem}):
        yield Finding(f"{place}: {reason}", 1)
    for name, verdict in verdicts.items():
        if not verdict.is_enabled:
            yield Finding(f"{name}: {verdict.reason}", is_warning=True)
    known = [DEFAULT, *verdicts, PruneJobs.control_name, Worker.control_name]
    for name in control.names:
        if name not in known and (meant := suggestion(name, known)):  # else it may be the application's script
            told = f"{place}: {control.where} switches [{name}], which is no section{meant}"
            yield Finding(told, is_warning=True)
    if control.is_missing:
        yield Finding(f"cron_control {control.where}: there is no such file, so nothing is turned off")
    elif all(verdict.is_enabled and not verdict.is_problem for verdict in verdicts.values()):
        yield Finding(f"cron_control {control.where}: nothing is turned off")


def _passwords(settings: Settings) -> Iterator[Finding]:
    """Report the configuration's files that have a password but are readable by everybody."""
    for path, content in read(settings.path)[1].items():
        if os.stat(path).st_mode & stat.S_IROTH and any(secret in content for secret in settings.secrets()):
            yield Finding(f"{path}: everybody may read the password in it: chmod o= {path}", is_warning=True)


def _directories(settings: Settings) -> Iterator[Finding]:
    wanted = {getattr(settings, key): settings.place(key) for key in ("state_dir", "lock_dir", "error_dir")}
    for section in settings.sections.values():
        if section.error_dir:
            wanted.setdefault(section.error_dir, f"{settings.path}: section [{section.name}], key error_dir")
    if settings.mail and settings.mail.startswith("file:"):
        wanted.setdefault(settings.mail.removeprefix("file:"), settings.place("mail"))
    for path, place in wanted.items():
        yield from _guarded(settings, partial(_directory, path=path, place=place))
    if settings.metrics_dir:
        check_shared_directory(settings.metrics_dir, f"{settings.place('metrics_dir')}: the directory")
        yield Finding(f"metrics_dir {settings.metrics_dir}")


def _directory(settings: Settings, path: str, place: str) -> Iterator[Finding]:
    key = place.rpartition(" ")[2]
    if os.path.isdir(path):
        private_directory(path, f"{place}: the directory")
        if os.stat(path).st_mode & 0o077:
            yield Finding(f"{place}: others may read what is in {path}: chmod go= {path}", is_warning=True)
        yield Finding(f"{key} {path}")
        return
    parent = path
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent) or not os.access(parent, os.W_OK | os.X_OK):
        raise DirectoryError(
            f"{place}: expected {path} to be a directory that can be made, {parent} cannot be written"
        )
    yield Finding(f"{key} {path}, which will be made")


def _mail(settings: Settings) -> Iterator[Finding]:
    if settings.mail is None:
        yield Finding("mail: none is sent", is_warning=True)
        return
    if not settings.failure_recipients:  # a section that says "none" means it
        names = [s.name for s in settings.sections.values() if not s.failure_recipients]
        if names or not settings.sections:
            yield Finding(
                f"{settings.place('failure_recipients')}: expected addresses, got none: of failed jobs of "
                f"{', '.join(names) or 'sections'} only those are told whom a job's class names",
                is_warning=True,
            )
    if settings.mail.startswith("smtp:"):
        url = urlsplit(settings.mail)
        address = (url.hostname or "", url.port or 25)
        try:
            socket.create_connection(address, SMTP_SECONDS).close()
        except (OSError, UnicodeError) as error:  # UnicodeError: not a possible name
            reason = getattr(error, "strerror", None) or error  # any object: not only the system's errors
            yield Finding(f"mail: {address[0]} port {address[1]} does not answer: {reason}", is_warning=True)
        else:
            yield Finding(f"mail: {address[0]} port {address[1]}")


def _databases(settings: Settings, is_loaded: bool) -> Iterator[Finding]:
    notified_at(settings)
    users: dict[str | None, str] = {None: settings.database_origin}
    for section in settings.sections.values():
        if section.dbuser and backend_of(settings.database_url) != SQLITE:  # SQLite has no roles
            users.setdefault(section.dbuser, f"{settings.path}: section [{section.name}], key dbuser")
    for user, origin in users.items():
        yield from _guarded(settings, partial(check_database, user=user, origin=origin, is_loaded=is_loaded))
