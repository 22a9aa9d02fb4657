"""``jobcron unpause``: end a pause of a section, a type, a queue or a channel."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json
from jobcron.commands.jobs.limits._pause import add_scope, scope_of
from jobcron.operations.pauses import unpause


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_scope(parser, required=True)
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """End a pause, and return the exit status.

    Raises:
        UserMistake: it is not paused, or the configuration or the database is wrong.
    """
    named = scope_of(options)
    assert named is not None
    with opened_database(options.config, needs_application=False) as (_, database), database.begin() as connection:
        ended = unpause(connection, *named)
    if options.json:
        say_json({"ended": ended})
    else:
        say(cell(f"ended: {ended}"))
    return 0
