"""``--watch``: show the same again and again, as it is then."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import Connection

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.commands._printing import say_json, say_table
from jobcron.commands.jobs._filters import age
from jobcron.database.database import Database
from jobcron.database.statements import expect_few_rows
from jobcron.errors import ConfigurationError, DatabaseUnavailable, DatabaseUnusable
from jobcron.settings.settings import Settings

Found = TypeVar("Found")

EVERY = timedelta(seconds=2)

SHORTEST = timedelta(seconds=0.2)

CLEAR = "\x1b[2J\x1b[H"
"""What clears a terminal and goes to its upper left corner."""


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--watch",
        nargs="?",
        type=age,
        const=EVERY,
        metavar="DURATION",
        help="refresh this often, by default every 2s, until Ctrl-C; needs a terminal",
    )


def look(
    options: argparse.Namespace, read: Callable[[Settings, Connection], Found], tell: Callable[[Found], None]
) -> int:
    """Read and print something, once or until somebody presses Ctrl-C; return the exit status, 0.

    Args:
        options: with ``config``, ``watch`` and ``json``.
        read: reads it, in a transaction of its own that only reads.
        tell: prints it, outside that transaction.

    Raises:
        UserMistake: the configuration or the database is wrong; or it cannot be watched here.
    """
    _check(options)
    with opened_database(options.config, needs_application=False) as (settings, database):
        if options.watch is None:
            tell(_read(database, settings, read))
            return 0
        try:
            while True:
                every = f"every {options.watch.total_seconds():g} s"
                say(f"{CLEAR}jobcron {options.subcommand}, {every}; Ctrl-C ends\n")
                try:
                    tell(_read(database, settings, read))
                except DatabaseUnusable:
                    raise
                except DatabaseUnavailable as error:  # it may come back: who watches wants to see that
                    say(str(error))
                time.sleep(options.watch.total_seconds())
        except KeyboardInterrupt:
            say("")
            return 0


def look_at_list(
    options: argparse.Namespace,
    name: str,
    read: Callable[[Settings, Connection], Sequence[Found]],
    heads: Sequence[str],
    row_of: Callable[[Found], Sequence[object]],
) -> int:
    """Read and print a list, as `look` does.

    Args:
        options: as for `look`.
        name: the list's name in JSON.
        read: reads it.
        heads: of the columns of the table.
        row_of: returns the row of one item.

    Raises:
        UserMistake: as of `look`.
    """

    def tell(found: Sequence[Found]) -> None:
        if options.json:
            say_json({name: found})
        else:
            say_table(heads, map(row_of, found))

    return look(options, read, tell)


def _check(options: argparse.Namespace) -> None:
    if options.watch is None:
        return
    if options.json:
        raise ConfigurationError("expected --watch or --json, got both")
    if options.watch < SHORTEST:
        raise ConfigurationError(f"expected --watch with at least 0.2s, got: {options.watch.total_seconds():g}s")
    if not sys.stdout.isatty():
        raise ConfigurationError(
            "expected standard output to be a terminal for --watch, it is not: a program calls the command again"
        )


def _read(database: Database, settings: Settings, read: Callable[[Settings, Connection], Found]) -> Found:
    with database.begin(writing=False) as connection:
        expect_few_rows(connection)
        return read(settings, connection)
