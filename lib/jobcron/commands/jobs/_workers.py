"""``jobcron workers``: the workers, busy or not."""

from __future__ import annotations

import argparse

from jobcron.commands.jobs._watch import add_watch, look_at_list
from jobcron.operations.processes.workers import WorkerState, worker_states

HEADS = (
    "host", "pid", "version", "sections", "jobs", "processes", "since (UTC)", "last sign of life (UTC)",
    "sign of death",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_watch(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Show the workers, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """
    return look_at_list(options, "workers", lambda settings, connection: worker_states(connection), HEADS, _row)


def _row(worker: WorkerState) -> tuple[object, ...]:
    return (
        worker.host,
        worker.pid,
        worker.version,
        worker.sections,
        worker.jobs,
        f"{worker.processes} of {worker.most_processes}" + ", leaving" * worker.is_leaving,
        worker.since,
        worker.seen,
        worker.death,
    )
