"""The ``jobcron`` command."""

from __future__ import annotations

import argparse
import sys

from jobcron import __version__
from jobcron.errors import UserMistake

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand, and return its exit status.

    Args:
        arguments: of the command line; by default those of the process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["run"]:
        return run(given[1:])  # what cron starts every minute: no other parser is built for it
    if given[:1] == ["process-job-sources"]:
        return run_groups(given[1:])  # this as well
    parser = _parser()
    if not given:
        parser.print_help(sys.stderr)
        return 2
    options = parser.parse_args(given)
    try:
        return _execute(options)
    except UserMistake as error:
        from jobcron.logs import complain

        complain(f"jobcron: {error}")
        return error.exit_status


def _parser() -> argparse.ArgumentParser:
    from jobcron.script import CommandLine

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
    running = commands.add_parser(
        "run", help="run the ready jobs of a section, as run_jobs.py does", add_help=False
    )
    running.add_argument("arguments", nargs=argparse.REMAINDER)
    groups = commands.add_parser(
        "process-job-sources", help="run the sections of groups, as process_job_sources.py does", add_help=False
    )
    groups.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser


def _execute(options: argparse.Namespace) -> int:
    match options.command:
        case "run" | "process-job-sources":
            given = ["--config", options.config] if options.config else []
            start = run if options.command == "run" else run_groups
            return start([*given, *options.arguments])
        case "init":
            from jobcron.operate.init import init

            return init(options.directory, options.database_url, options.application)
        case "crontab":
            from jobcron.operate.crontab import crontab

            return crontab(options.config, options.mail_to)
        case "check-config":
            from jobcron.operate.check import check_config

            return check_config(options.config)
        case _:
            from jobcron.operate.upgrade import upgrade

            return upgrade(options.config)


def run(arguments: list[str]) -> int:
    """Run the ready jobs of a section: the script is the same as ``run_jobs.py``."""
    from jobcron.script import JobCronScript

    sys.argv = ["jobcron run", *arguments]
    JobCronScript(commandline_config=True).lock_and_run()
    return 0


def run_groups(arguments: list[str]) -> int:
    """Run the sections of groups: the script is the same as ``process_job_sources.py``."""
    from jobcron.groups import ProcessJobSources

    sys.argv = ["jobcron process-job-sources", *arguments]
    ProcessJobSources().lock_and_run()
    return 0
