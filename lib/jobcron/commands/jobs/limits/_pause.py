"""``jobcron pause``: pause a section, a type, a queue or a channel, or list what is paused."""

from __future__ import annotations

import argparse

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json, say_table
from jobcron.commands.jobs._filters import age, moment
from jobcron.errors import ConfigurationError
from jobcron.operations.pauses import Scope, current_pauses, pause
from jobcron.operations.processes.named import unknown_name

HEADS = ("scope", "name", "by", "since (UTC)", "until (UTC)", "reason")


def add_scope(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the options that say what is paused."""
    scopes = parser.add_mutually_exclusive_group(required=required)
    scopes.add_argument("--section", metavar="SECTION", help="all jobs that this section would run")
    scopes.add_argument("--type", metavar="TYPE", help="all jobs of this type, such as foo_job.ACT")
    scopes.add_argument("--queue", metavar="QUEUE", help="all jobs in this queue")
    scopes.add_argument("--channel", metavar="CHANNEL", help="all jobs in this channel and in those below it")


def scope_of(options: argparse.Namespace) -> tuple[Scope, str] | None:
    """Return what the options name; None: nothing."""
    given = vars(options)
    return next(((scope, given[scope.value]) for scope in Scope if given[scope.value] is not None), None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Start no more jobs of a section, a type, a queue or a channel, on any host. Without one of these, list "
        "the pauses."
    )
    add_scope(parser, required=False)
    end = parser.add_mutually_exclusive_group()
    end.add_argument(
        "--for", dest="lasts", type=age, metavar="DURATION", help="end the pause after this, such as 2h"
    )
    end.add_argument("--until", type=moment, metavar="TIME", help="end it then; in ISO 8601, with a time zone")
    parser.add_argument("--reason", metavar="TEXT", help="why, for people who see the pause")
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Pause something, or list what is paused; return the exit status.

    Raises:
        UserMistake: the configuration, an option or the database is wrong.
    """
    named = scope_of(options)
    with opened_database(options.config, needs_application=False) as (settings, database):
        if named is None:
            _check_alone(options)
            with database.begin(writing=False) as connection:
                found = current_pauses(connection)
            if options.json:
                say_json({"pauses": found})
            else:
                say_table(HEADS, [(p.scope, p.name, p.actor, p.since, p.until, p.reason) for p in found])
            return 0
        until = options.lasts if options.lasts is not None else options.until
        with database.begin() as connection:
            unknown = unknown_name(connection, settings, *named)
            made, before = pause(connection, settings, *named, until=until, reason=options.reason)
    if options.json:
        say_json({"pause": made, "before": before, "warning": unknown})
    else:
        say(cell(f"{made}"))
        if before is not None:
            say(cell(f"before: {before}"))
        if unknown is not None:
            say(cell(f"warning: {unknown}; it holds up what is created there from now on"))
    return 0


def _check_alone(options: argparse.Namespace) -> None:
    names = {"--for": options.lasts, "--until": options.until, "--reason": options.reason}
    given = [name for name, value in names.items() if value is not None]
    if given:
        raise ConfigurationError(
            f"expected --section, --type, --queue or --channel together with {given[0]}, got none of them"
        )
