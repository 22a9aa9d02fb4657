"""The ``jobcron`` command: its subcommands, and how each is started."""

from __future__ import annotations

import argparse
import importlib
import sys

from jobcron._version import __version__
from jobcron.errors import DatabaseUnavailable, UserMistake
from jobcron.scripts.options import CommandLine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobcron.scripts.cron_script import CronScript

COMMANDS = {
    "init": "write a commented configuration, and a first job",
    "upgrade": "create jobcron's tables, or bring them up to date",
    "restored": "make a database safe to use after it was restored from a backup",
    "check-config": "check everything that can be checked without running a job",
    "crontab": "print the lines for your crontab",
    "systemd": "print services and timers for systemd",
    "jobs": "list jobs, by filters",
    "job": "show everything about a job",
    "why": "say why a job or a section does not run, and what would make it run",
    "plan": "say which jobs the next run of a section would take, in which order, and what it would do first",
    "try": "run a job, show what it changes in the database, and roll it back",
    "sections": "show the sections: last run, ready and running jobs, failures",
    "runners": "show the runners that hold claims on jobs now, and which seem dead",
    "workers": "show the workers, busy or not, and which seem dead",
    "runs": "list the newest runs",
    "schedules": "list the schedules; pause, resume, run, add and change them",
    "types": "list the job types, and count their jobs that have not ended",
    "create": "create a job of any class or function",
    "retry": "make jobs run again: those that failed, or others",
    "cancel": "cancel jobs that have not ended",
    "suspend": "put jobs aside until they are resumed",
    "resume": "make suspended jobs wait again",
    "set-done": "mark jobs as completed whose work was done in another way",
    "postpone": "make waiting jobs due later",
    "run-now": "make waiting jobs due at once",
    "priority": "change the priority of jobs that have not started",
    "move": "move jobs that have not started to another queue or channel",
    "delete": "delete jobs that have ended",
    "undo": "undo an act on jobs by the act's number, except for jobs that have moved since; or list the acts",
    "channels": "list the channels with what runs and waits in them; change their limits",
    "pause": "start no more jobs of a section, a type, a queue or a channel; or list the pauses",
    "unpause": "end a pause",
    "completion": "print a script that completes command lines in your shell: bash, zsh or tcsh",
    "doctor": "examine the instance, and name each problem with its remedy",
    "web": "serve the dashboard on this machine",
    "check-runs": "report the health of the sections, with the exit statuses of monitoring plugins",
    "oops": "show an OOPS report, or list the newest",
    "grant": "create the database roles, and give them the rights that they need",
    "prune": "remove old data, as prune_jobs.py does",
    "runscheduledjobs": "run the ready jobs that call functions",
    "run": "run the ready jobs of a section, as run_jobs.py does",
    "worker": "keep running, and run the jobs of sections as soon as they are ready",
    "process-job-sources": "run the sections of groups, as process_job_sources.py does",
    "delete-old-jobs": "delete jobs of several tasks that have ended",
    "create-job": "create a job of several tasks",
    "queue-depth": "count the waiting jobs of several tasks in each queue",
    "import-django-db-queue": "copy django-db-queue's waiting jobs",
}
"""The purpose of each subcommand, in the order of the help.

For example, the module of `check-config` is `jobcron.commands.checks._check_config` (see `module_of`). It has
`add_arguments(parser)`, and `perform(options)`, which returns the exit status. Only the called subcommand's module
is imported.
"""

SCRIPTS = ("run", "worker", "process-job-sources", "prune", "runscheduledjobs")
"""Subcommands that are scripts for cron, with their own options."""

DJANGO_COMMANDS = ("delete-old-jobs", "create-job", "queue-depth", "import-django-db-queue")
"""Subcommands that can be written with underscores, as django-db-queue's are (DBQ-06)."""

ACTS = ("retry", "cancel", "suspend", "resume", "set-done", "postpone", "run-now", "priority", "move", "delete")
"""Subcommands that move jobs; they share a module."""

ALIASES = {"retry": ["requeue"], **{name: [name.replace("-", "_")] for name in DJANGO_COMMANDS}}
"""Other names of subcommands."""

OWN_OPTIONS = ("--config", "--help", "--version")
"""Options that may stand before the subcommand."""

JOBS_COMMANDS = (
    *("jobs", "job", "create", "why", "plan", "try", "doctor", "sections", "runners", "workers", "runs", "types"),
    *("undo", "schedules"),
)
"""Subcommands about jobs, each with a module of its own in the package of that name."""

PACKAGES = {
    **dict.fromkeys(DJANGO_COMMANDS, "steps"),
    "check-config": "checks",
    **dict.fromkeys(("completion", "web"), "people"),
    **dict.fromkeys(("upgrade", "restored"), "tables"),
    **dict.fromkeys(JOBS_COMMANDS, "jobs"),
    **dict.fromkeys(("pause", "unpause", "channels"), "jobs.limits"),
}
"""The packages of subcommands that have one, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand, and return its exit status.

    Args:
        arguments: the command line; by default the process's.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    own, rest = _own_options(given)
    if rest and rest[0] in SCRIPTS:
        return _run_script(rest[0], [*own, *rest[1:]])  # cron starts it every minute: no other parser is built
    from jobcron.runner.surroundings.garbage import ImportsForGood

    with ImportsForGood(is_ours=arguments is None):
        parser = full_parser(given)
    if not given:
        parser.print_help(sys.stderr)
        return 2
    _check_command(parser, rest)
    options, unknown = parser.parse_known_args(given)
    if unknown:
        _parser_of(parser, options.command).refuse(unknown)
    try:
        status: int = options.perform(options)
        return status
    except UserMistake as error:
        from jobcron.reports.complaints import complain

        complain(f"jobcron: {error}")
        return error.exit_status
    except Exception as error:
        from jobcron.database.trouble import reason_of, refused_right, told, trouble_of
        from jobcron.reports.complaints import complain

        refused, kind = refused_right(error), trouble_of(error)
        if refused is not None:
            complain(f"jobcron: expected a role that has the rights for this, got: {refused}")
        elif kind is not None:  # in a session, which does not say it as a transaction of ours does
            complain(f"jobcron: the database did not do what was asked: {told(kind, reason_of(error))}")
        else:
            raise
        return DatabaseUnavailable.exit_status


def _parser_of(parser: CommandLine, name: str) -> CommandLine:
    """Return the parser of a subcommand: its usage and its options are what somebody looks for."""
    for action in parser._subparsers._group_actions if parser._subparsers is not None else ():
        found = (action.choices or {}).get(name) if isinstance(action.choices, dict) else None
        if isinstance(found, CommandLine):
            return found
    return parser


def module_of(name: str) -> str:
    """Return the module of a subcommand."""
    if name in ACTS:
        return "jobcron.commands.jobs._acts"
    package = f".{PACKAGES[name]}" if name in PACKAGES else ""
    return f"jobcron.commands{package}._{name.replace('-', '_')}"


def _own_options(given: list[str]) -> tuple[list[str], list[str]]:
    """Return what stands before the subcommand if that is an instance, and the rest."""
    count = 2 if given[:1] == ["--config"] else 1 if given and given[0].startswith("--config=") else 0
    return given[:count], given[count:]


def _check_command(parser: argparse.ArgumentParser, rest: list[str]) -> None:
    """Refuse an unknown subcommand, with the one that may be meant instead of the list of all."""
    if rest and rest[0].startswith("--") and rest[0].partition("=")[0] not in OWN_OPTIONS:
        parser.error(f"expected a subcommand, with its options after it, got first: {rest[0]}")
    known = [*COMMANDS, *(alias for aliases in ALIASES.values() for alias in aliases)]
    if rest and not rest[0].startswith("-") and rest[0] not in known:
        from jobcron.settings.suggestions import suggestion

        hint = suggestion(rest[0], known) or "; `jobcron --help` lists the subcommands"
        parser.error(f"argument COMMAND: invalid choice: {rest[0]!r}{hint}")


def full_parser(given: Sequence[str]) -> CommandLine:
    """Return the parser of `jobcron`, with the arguments of the subcommands that `given` names."""
    text = "Batch jobs in your own database, run by cron."
    parser = CommandLine(prog="jobcron", description=text, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"jobcron {__version__}")
    _add_config(parser, default=None)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        if name in SCRIPTS:
            commands.add_parser(name, help=text)  # for the list in the help: `main` has started it already
            continue
        aliases = ALIASES.get(name, [])
        command = commands.add_parser(name, help=text, aliases=aliases)
        if not {name, *aliases}.isdisjoint(given):
            module = importlib.import_module(module_of(name))
            command.set_defaults(perform=module.perform, subcommand=name)
            module.add_arguments(command)
            _add_config(command, default=argparse.SUPPRESS)  # not a default: it would undo what stands before
    return parser


def _add_config(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    text = "an instance's directory, or its name in configs/"
    parser.add_argument("--config", metavar="INSTANCE", default=default, help=text)


def _run_script(name: str, arguments: list[str]) -> int:
    """Run a script, which exits by itself if its status is not 0."""
    sys.argv = [f"jobcron {name}", *arguments]
    _script(name).lock_and_run()
    return 0


def _script(name: str) -> CronScript:
    match name:
        case "run":
            from jobcron.scripts.job_script import JobCronScript

            return JobCronScript(commandline_config=True)
        case "prune":
            from jobcron.scripts.prune import PruneJobs

            return PruneJobs()
        case "worker":
            from jobcron.scripts.worker.script import Worker

            return Worker()
        case "runscheduledjobs":
            from jobcron.commands._runscheduledjobs import RunScheduledJobs

            return RunScheduledJobs()
        case _:
            from jobcron.scripts.groups import ProcessJobSources

            return ProcessJobSources()
