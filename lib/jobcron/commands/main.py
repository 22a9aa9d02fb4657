"""The ``jobcron`` command: its subcommands, and how each is started."""

from __future__ import annotations

import argparse
import importlib
import sys

from jobcron._version import __version__
from jobcron.errors import UserMistake
from jobcron.scripts.options import CommandLine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobcron.scripts.cron_script import CronScript

COMMANDS = {
    "init": "write a commented configuration, and a first job",
    "upgrade": "create jobcron's tables, or bring them up to date",
    "check-config": "check all that can be checked without running a job",
    "crontab": "print the lines for your crontab",
    "check-runs": "report the health of the sections, with the statuses of monitoring plugins",
    "oops": "show an OOPS report, or list the newest",
    "grant": "create the database roles, and give them the rights that they need",
    "prune": "remove old data, as prune_jobs.py does",
    "runscheduledjobs": "run the ready jobs that call functions",
    "run": "run the ready jobs of a section, as run_jobs.py does",
    "process-job-sources": "run the sections of groups, as process_job_sources.py does",
    "delete-old-jobs": "delete jobs of several tasks that have ended",
    "create-job": "create a job of several tasks",
    "queue-depth": "count the waiting jobs of several tasks in each queue",
    "import-django-db-queue": "copy django-db-queue's waiting jobs",
}
"""The purpose of each subcommand, in the order of the help.

For example, the module of `check-config` is `jobcron.commands._check_config`. It has `add_arguments(parser)`,
and `perform(options)`, which returns the exit status. Only the called subcommand's module is imported.
"""

SCRIPTS = ("run", "process-job-sources", "prune", "runscheduledjobs")
"""Subcommands that are scripts for cron, with their own options."""

DJANGO_COMMANDS = ("delete-old-jobs", "create-job", "queue-depth", "import-django-db-queue")
"""Subcommands that can be written with underscores, as django-db-queue's are (DBQ-06)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand, and return its exit status.

    Args:
        arguments: the command line; by default the process's.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] in SCRIPTS:
        return _run_script(given[0], given[1:])  # cron starts it every minute: no other parser is built for it
    from jobcron.runner.garbage import ImportsForGood

    with ImportsForGood(is_ours=arguments is None):
        parser = _parser(given)
    if not given:
        parser.print_help(sys.stderr)
        return 2
    options = parser.parse_args(given)
    if options.command in SCRIPTS:
        config = ["--config", options.config] if options.config else []
        return _run_script(options.command, [*config, *options.arguments])
    try:
        status: int = options.perform(options)
        return status
    except UserMistake as error:
        from jobcron.reports.logs import complain

        complain(f"jobcron: {error}")
        return error.exit_status


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of `jobcron`, with the arguments of the subcommands that `given` may name."""
    parser = CommandLine(prog="jobcron", description="Batch jobs in your own database, run by cron.")
    parser.add_argument("--version", action="version", version=f"jobcron {__version__}")
    parser.add_argument("--config", metavar="INSTANCE", help="an instance's directory, or its name in configs/")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        if name in SCRIPTS:
            script = commands.add_parser(name, help=text, add_help=False)
            script.add_argument("arguments", nargs=argparse.REMAINDER)
            continue
        aliases = [name.replace("-", "_")] if name in DJANGO_COMMANDS else []
        command = commands.add_parser(name, help=text, aliases=aliases)
        if not {name, *aliases}.isdisjoint(given):
            module = importlib.import_module(f"jobcron.commands._{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(perform=module.perform)
    return parser


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
        case "runscheduledjobs":
            from jobcron.commands._runscheduledjobs import RunScheduledJobs

            return RunScheduledJobs()
        case _:
            from jobcron.scripts.groups import ProcessJobSources

            return ProcessJobSources()
