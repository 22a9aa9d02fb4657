"""``jobcron check-config``: check everything possible without running a job, and show every problem at once."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from jobcron.commands._output import Finding, say
from jobcron.commands._printing import say_json
from jobcron.commands.checks._alembic import alembic_findings
from jobcron.commands.checks._around import directory_findings, mail_findings, password_findings
from jobcron.commands.checks._channels import channel_findings
from jobcron.commands.checks._database import check_database, check_role
from jobcron.commands.checks._dispatch import dispatch_findings
from jobcron.commands.checks._explain import explain_database, explain_packages, explain_types
from jobcron.commands.checks._failed_imports import kept_away, kept_away_from, left_unfinished
from jobcron.commands.checks._guarded import guarded
from jobcron.commands.checks._instances import check_instances
from jobcron.commands.checks._types import classes_without_type
from jobcron.errors import (
    ConfigurationError,
    UnknownFunction,
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
from jobcron.schedules.definitions import definitions_of, problem_of, times_of
from jobcron.scripts.control import DEFAULT, Control
from jobcron.scripts.groups import ProcessJobSources, groups_of
from jobcron.scripts.order import runner_class_of
from jobcron.scripts.prune import PruneJobs
from jobcron.scripts.worker.script import Worker, notified_at
from jobcron.settings.database_url import SQLITE, backend_of
from jobcron.settings.instance import find, load_settings, presented
from jobcron.settings.named import dotted_name
from jobcron.settings.reading import mistakes_in
from jobcron.settings.settings import Schedule, Section, Settings
from jobcron.settings.suggestions import suggestion
from jobcron.steps import StepsJob


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
    except ConfigurationError as error:  # nothing else can be checked
        yield from _mistakes(config, error)
        return
    yield Finding(f"configuration {settings.path}")
    with presented(settings):
        if explain:
            yield from guarded(settings, explain_database)
        failed: set[str] = set()
        application = list(guarded(settings, partial(_application, failed=failed)))
        yield from application
        is_loaded = not any(finding.status for finding in application)
        explanations = (explain_packages, explain_types) if explain and is_loaded else ()
        checks = (
            password_findings,
            _sections,
            _groups,
            _schedules,
            _control,
            check_instances,
            directory_findings,
            mail_findings,
        )
        more = (channel_findings, dispatch_findings, alembic_findings)
        with kept_away(failed):
            for check in (*explanations, *checks, *more, partial(_databases, is_loaded=is_loaded)):
                yield from guarded(settings, check)


def _mistakes(config: str | None, first: ConfigurationError) -> Iterator[Finding]:
    """Report all mistakes of the configuration at once; if the first one is of another kind, that one."""
    try:
        told = [str(error) for error in mistakes_in(find(config))]
    except ConfigurationError:  # there is no file
        told = []
    for text in told or [str(first)]:
        yield Finding(text, first.exit_status)


def _application(settings: Settings, failed: set[str]) -> Iterator[Finding]:
    try:
        load_application(settings)
    except (Exception, SystemExit) as error:
        failed.update(left_unfinished(error))
        raise
    globalErrorUtility.configure(settings=settings)
    globalErrorUtility.check()
    find_hook(settings)
    session_class_of(settings)
    named = " ".join(filter(None, [settings.application, *(settings.job_packages or ())]))
    if named:
        own = sum(not found.__module__.startswith("jobcron.") for found in registry.registered().values())
        yield Finding(f"application {named}: {counted(own, 'job type')}")
        yield from classes_without_type(settings)
    else:
        yield Finding("application: none is named; the sources of sections have to be importable", is_warning=True)


def _sections(settings: Settings) -> Iterator[Finding]:
    if not settings.sections:
        yield Finding(f"{settings.path}: no section of jobs: nothing will be run", is_warning=True)
    for section in settings.sections.values():
        yield from guarded(settings, partial(_section, section=section))


def _section(settings: Settings, section: Section) -> Iterator[Finding]:
    try:
        source = find_source(settings, section)
    except ConfigurationError as error:
        if (name := kept_away_from(error)) is None:
            raise
        yield Finding(f"section {section.name}: not checked, because the import of {name} failed", is_warning=True)
        return
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
        yield from guarded(settings, partial(_schedule, schedule=schedule, origin=origin))


def _schedule(settings: Settings, schedule: Schedule, origin: str) -> Iterator[Finding]:
    if (problem := problem_of(schedule)) is not None:
        place = f"{origin}: schedule {schedule.name}, {problem.key}"
        if schedule.name in settings.schedules:
            place = f"{settings.path}: section [schedule:{schedule.name}], key {problem.key}"
        raise ConfigurationError(f"{place}: {problem.text}")
    when = times_of(schedule.cron, schedule.every)
    when = f"at {when} {schedule.time_zone}" if schedule.cron else when
    yield Finding(f"schedule {schedule.name}: {schedule.job}, {when}")


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


def _databases(settings: Settings, is_loaded: bool) -> Iterator[Finding]:
    notified_at(settings)
    users: dict[str, str] = {}
    for section in settings.sections.values():
        if section.dbuser and backend_of(settings.database_url) != SQLITE:  # SQLite has no roles
            users.setdefault(section.dbuser, f"{settings.path}: section [{section.name}], key dbuser")
    own = partial(check_database, user=None, origin=settings.database_origin, is_loaded=is_loaded)
    yield from guarded(settings, own)
    for user, origin in users.items():
        yield from guarded(settings, partial(check_role, user=user, origin=origin, is_loaded=is_loaded))
