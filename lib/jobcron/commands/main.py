"""The ``jobcron`` command."""

from __future__ import annotations

import argparse
import sys

from jobcron._version import __version__
from jobcron.errors import UserMistake

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence


SCRIPTS = ("run", "process-job-sources", "prune", "runscheduledjobs")
"""Subcommands that are scripts of cron's, with options of their own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand, and return its exit status.

    Args:
        arguments: of the command line; by default those of the process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] in SCRIPTS:
        return _start(given[0], given[1:])  # what cron starts every minute: no other parser is built for it
    from jobcron.runner.garbage import ImportsForGood

    with ImportsForGood(is_ours=arguments is None):
        parser = _parser()
    if not given:
        parser.print_help(sys.stderr)
        return 2
    options = parser.parse_args(given)
    try:
        return _execute(options)
    except UserMistake as error:
        from jobcron.reports.logs import complain

        complain(f"jobcron: {error}")
        return error.exit_status


def _parser() -> argparse.ArgumentParser:
    from jobcron.scripts.options import CommandLine

    parser = CommandLine(prog="jobcron", description="Batch jobs in your own database, run by cron.")
    parser.add_argument("--version", action="version", version=f"jobcron {__version__}")
    parser.add_argument("--config", metavar="INSTANCE", help="an instance's directory, or its name in configs/")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    starting = commands.add_parser("init", help="write a commented configuration, and a first job")
    starting.add_argument("directory", nargs="?", default="jobcron-instance", metavar="DIRECTORY")
    starting.add_argument("--database-url", metavar="URL", help="by default an SQLite file in DIRECTORY")
    starting.add_argument(
        "--application",
        metavar="MODULE[:CALLABLE]",
        help="the module that has your job classes, instead of a first job",
    )
    commands.add_parser("upgrade", help="create jobcron's tables, or bring them up to date")
    commands.add_parser("check-config", help="check all that can be checked without running a job")
    crontab = commands.add_parser("crontab", help="print the lines for your crontab")
    crontab.add_argument("--mail-to", metavar="ADDRESS", help="where cron mails errors; by default to the user")
    runs = commands.add_parser(
        "check-runs", help="say how the sections are, with the statuses of monitoring plugins"
    )
    runs.add_argument("sections", nargs="*", metavar="SECTION", help="by default all")
    oops = commands.add_parser("oops", help="show an OOPS report, or list the newest")
    oops.add_argument("oops_id", nargs="?", metavar="ID")
    oops.add_argument("--json", action="store_true", help="as it was written")
    granting = commands.add_parser(
        "grant", help="make the database roles, and give them the rights that they need"
    )
    granting.add_argument("--dry-run", action="store_true", help="only print the statements")
    pruning = commands.add_parser("prune", help="remove what is old, as prune_jobs.py does", add_help=False)
    pruning.add_argument("arguments", nargs=argparse.REMAINDER)
    scheduled = commands.add_parser(
        "runscheduledjobs", help="run the ready jobs that call functions", add_help=False
    )
    scheduled.add_argument("arguments", nargs=argparse.REMAINDER)
    running = commands.add_parser(
        "run", help="run the ready jobs of a section, as run_jobs.py does", add_help=False
    )
    running.add_argument("arguments", nargs=argparse.REMAINDER)
    groups = commands.add_parser(
        "process-job-sources", help="run the sections of groups, as process_job_sources.py does", add_help=False
    )
    groups.add_argument("arguments", nargs=argparse.REMAINDER)
    from jobcron.commands._steps import add_commands

    add_commands(commands)
    return parser


def _execute(options: argparse.Namespace) -> int:
    if hasattr(options, "perform"):
        status: int = options.perform(options)
        return status
    match options.command:
        case command if command in SCRIPTS:
            given = ["--config", options.config] if options.config else []
            return _start(command, [*given, *options.arguments])
        case "check-runs":
            from jobcron.commands._check_runs import check_runs

            return check_runs(options.config, options.sections)
        case "grant":
            from jobcron.commands._grant import grant

            return grant(options.config, options.dry_run)
        case "oops":
            from jobcron.commands._oops import show_reports

            return show_reports(options.config, options.oops_id, options.json)
        case "init":
            from jobcron.commands._init import init

            return init(options.directory, options.database_url, options.application)
        case "crontab":
            from jobcron.commands._crontab import crontab

            return crontab(options.config, options.mail_to)
        case "check-config":
            from jobcron.commands._check import check_config

            return check_config(options.config)
        case _:
            from jobcron.commands._upgrade import upgrade

            return upgrade(options.config)


def _start(command: str, arguments: list[str]) -> int:
    match command:
        case "run":
            return run(arguments)
        case "runscheduledjobs":
            from jobcron.commands._run_scheduled import run_scheduled_jobs

            return run_scheduled_jobs(arguments)
        case "prune":
            from jobcron.scripts.prune import prune

            return prune(arguments)
        case _:
            return run_groups(arguments)


def run(arguments: list[str]) -> int:
    """Run the ready jobs of a section: the script is the same as ``run_jobs.py``."""
    from jobcron.scripts.job_script import JobCronScript

    sys.argv = ["jobcron run", *arguments]
    JobCronScript(commandline_config=True).lock_and_run()
    return 0


def run_groups(arguments: list[str]) -> int:
    """Run the sections of groups: the script is the same as ``process_job_sources.py``."""
    from jobcron.scripts.groups import ProcessJobSources

    sys.argv = ["jobcron process-job-sources", *arguments]
    ProcessJobSources().lock_and_run()
    return 0
