"""The ``jobcron`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobcron.errors import UserMistake


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand, and return its exit status.

    Args:
        arguments: of the command line; by default those of the process.
    """
    parser = argparse.ArgumentParser(prog="jobcron", description="Batch jobs in your own database, run by cron.")
    parser.add_argument("--config", metavar="INSTANCE", help="an instance's directory, or its name in configs/")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("upgrade", help="create jobcron's tables, or bring them up to date")
    run = commands.add_parser("run", help="run the ready jobs of a section, as run_jobs.py does", add_help=False)
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    try:
        if options.command == "run":
            return _run(options)
        from jobcron.operate.upgrade import upgrade

        return upgrade(options.config)
    except UserMistake as error:
        print(f"jobcron: {error}", file=sys.stderr)
        return error.exit_status


def _run(options: argparse.Namespace) -> int:
    from jobcron.script import JobCronScript

    config = ["--config", options.config] if options.config else []
    sys.argv[1:] = [*config, *options.arguments]
    sys.argv[0] = "jobcron run"
    JobCronScript(commandline_config=True).lock_and_run()
    return 0
