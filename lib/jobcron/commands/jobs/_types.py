"""``jobcron types``: list the job types that the database knows."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_for_reading
from jobcron.commands._printing import say_json, say_table
from jobcron.operations.sections import type_states


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """List the types, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """
    with opened_for_reading(options.config) as (settings, connection):
        states = type_states(connection, settings)
    if options.json:
        say_json({"types": states})
        return 0
    say_table(
        ("type", "not ended", "sections", "sources"),
        [(state.name, state.pending, state.sections, state.sources) for state in states],
    )
    return 0
