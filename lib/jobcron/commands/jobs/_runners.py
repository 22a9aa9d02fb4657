"""``jobcron runners``: show the runners that hold claims on jobs now."""

from __future__ import annotations

import argparse

from jobcron.commands.jobs._watch import add_watch, look_at_list
from jobcron.operations.processes.runners import RunnerState, runner_states

HEADS = (
    "host", "pid", "sections", "jobs", "first job", "since (UTC)", "lease until (UTC)", "renewed (UTC)",
    "sign of death", "worker", "in groups",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_watch(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Show who holds claims, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """
    return look_at_list(
        options, "runners", lambda settings, connection: runner_states(connection, settings), HEADS, _row
    )


def _row(runner: RunnerState) -> tuple[object, ...]:
    return (
        runner.host or runner.name,
        runner.pid,
        runner.sections,
        runner.jobs,
        runner.job,
        runner.since,
        runner.lease_expires,
        runner.renewed,
        runner.death,
        runner.worker,
        runner.groups,
    )
