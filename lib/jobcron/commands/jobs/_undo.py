"""``jobcron undo``: undo an act on jobs by its number, or list the acts."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_database
from jobcron.commands._printing import say_json, say_table
from jobcron.commands.jobs._acts import tell
from jobcron.commands.jobs._filters import number_of
from jobcron.database.database import Database
from jobcron.errors import ConfigurationError
from jobcron.operations.acts import Bulk, Refusal
from jobcron.operations.asking import DONE
from jobcron.operations.undo import find_undoable, recent_acts, undo_act

HEADS = ("act", "at (UTC)", "by", "name", "jobs", "reason")
"""Of the list; where there is nothing to undo, there is no number of jobs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Put jobs back to what they were before an act, except for jobs that have moved since. Without a number, "
        "list the acts, and what else was done by hand. Deleted jobs do not come back."
    )
    add = parser.add_argument
    add(
        "act",
        nargs="?",
        type=number_of("of an act"),
        metavar="ACT",
        help="the number of the act, which it printed at its end",
    )
    add("--reason", metavar="TEXT", help="why, for the jobs' histories")
    add("--dry-run", action="store_true", help="say what would become of the jobs, and change nothing")
    add("--yes", action="store_true", help="undo the act, whatever the number of its jobs")
    add("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Undo an act; return 0 if all jobs were put back, 1 if some were refused.

    Raises:
        UserMistake: there is no such act, ``--yes`` is missing, or the configuration or the database is wrong.
    """
    if options.act is None and (options.yes or options.dry_run or options.reason is not None):
        raise ConfigurationError("expected the number of the act to undo; `jobcron undo` alone lists the acts")
    with opened_database(options.config, needs_application=False) as (_, database):
        if options.act is None:
            with database.begin(writing=False) as connection:
                acts = recent_acts(connection)
            if options.json:
                say_json({"acts": acts})
            else:
                say_table(
                    HEADS,
                    [(a.id, a.at, a.actor, a.name, a.jobs if a.instead is None else None, a.reason) for a in acts],
                )
            return 0
        with database.begin(writing=False) as connection:
            act = find_undoable(connection, options.act)
        if not options.yes and not options.dry_run:
            raise ConfigurationError(
                f"act {act.id}, {act.name} by {act.actor}: jobs: {act.jobs}; give --yes to undo it, or --dry-run "
                "to see what would be done"
            )
        return _undone(database, options.act, Bulk(reason=options.reason, is_dry=options.dry_run), options.json)


def _undone(database: Database, act: int, how: Bulk, as_json: bool) -> int:
    """Undo an act, and print what has become of its jobs, also if an error or a signal ends it."""
    moved: list[int] = []
    refused: list[Refusal] = []
    try:
        for outcome in undo_act(database, act, how):
            moved += outcome.moved
            refused += outcome.refused
    finally:
        if as_json:
            found = {"act": "undo", "number": act, "is_dry_run": how.is_dry, "moved": moved, "refused": refused}
            say_json(found)
        else:
            more = "" if moved or refused else "; nothing of it is left to undo"
            tell(f"undo {act}", DONE["undo"], how, moved, refused, more)
    return 1 if refused else 0
