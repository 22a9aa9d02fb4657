"""``jobcron runs``: list the newest runs."""

from __future__ import annotations

import argparse
from datetime import timedelta

from sqlalchemy import Connection

from jobcron.commands._output import say
from jobcron.commands._printing import say_json, say_table
from jobcron.commands.jobs._filters import number_of, positive
from jobcron.commands.jobs._watch import add_watch, look
from jobcron.errors import ConfigurationError
from jobcron.operations.sections import RunState, recent_runs
from jobcron.settings.settings import Settings
from jobcron.settings.suggestions import suggestion

HEADS = ("run", "section", "host", "started (UTC)", "took", "completed", "not completed", "reports")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "section", nargs="?", metavar="SECTION", help="a section, or the name of another script; by default all"
    )
    parser.add_argument(
        "--limit", type=positive, default=50, metavar="N", help="list at most N; by default %(default)s"
    )
    parser.add_argument(
        "--before", type=number_of("of a run"), metavar="RUN", help="only runs with smaller numbers"
    )
    add_watch(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """List runs, and return the exit status.

    Raises:
        UserMistake: the configuration or the database is wrong.
    """

    def tell(runs: list[RunState]) -> None:
        after = runs[-1].id if len(runs) == options.limit else None
        if options.json:
            say_json({"runs": runs, "next": after})
            return
        say_table(HEADS, map(_row, runs))
        if after is not None:
            say(f"# more: --before {after}")

    def read(settings: Settings, connection: Connection) -> list[RunState]:
        runs = recent_runs(connection, options.section, below=options.before, limit=options.limit)
        if not runs and options.before is None and options.section is not None:
            _check_name(settings, options.section)
        return runs

    return look(options, read, tell)


def _check_name(settings: Settings, name: str) -> None:
    """Refuse the name of what has no runs, unless it is to have some."""
    known = [*settings.sections, *(settings.watch_scripts or ())]
    if name not in known:
        raise ConfigurationError(
            f"expected a section, or a script that has run, got: {name}{suggestion(name, known)}"
        )


def _row(run: RunState) -> tuple[object, ...]:
    return (
        run.id,
        run.name,
        run.hostname,
        run.date_started,
        timedelta(seconds=round((run.date_completed - run.date_started).total_seconds())),
        run.completed,
        run.incomplete,
        run.oopses,
    )
