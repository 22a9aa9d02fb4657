"""The ``jobcron`` command."""

from __future__ import annotations

import argparse
import sys

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
    parser = argparse.ArgumentParser(prog="jobcron", description="Batch jobs in your own database, run by cron.")
    parser.add_argument("--config", metavar="INSTANCE", help="an instance's directory, or its name in configs/")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("upgrade", help="create jobcron's tables, or bring them up to date")
    running = commands.add_parser(
        "run", help="run the ready jobs of a section, as run_jobs.py does", add_help=False
    )
    running.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(given)
    try:
        if options.command == "run":
            return run(["--config", options.config, *options.arguments])
        from jobcron.operate.upgrade import upgrade

        return upgrade(options.config)
    except UserMistake as error:
        print(f"jobcron: {error}", file=sys.stderr)
        return error.exit_status


def run(arguments: list[str]) -> int:
    """Run the ready jobs of a section: the script is the same as ``run_jobs.py``."""
    from jobcron.script import JobCronScript

    sys.argv = ["jobcron run", *arguments]
    JobCronScript(commandline_config=True).lock_and_run()
    return 0
