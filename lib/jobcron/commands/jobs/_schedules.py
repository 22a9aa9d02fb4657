"""``jobcron schedules``: list schedules, pause, resume and run them; make those that no configuration has."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import closing

from jobcron.commands._database import opened_database, opened_for_reading
from jobcron.commands._output import say
from jobcron.commands._printing import cell, say_json, say_table
from jobcron.commands.jobs._filters import argument
from jobcron.database.database import Database
from jobcron.database.sessions import use_session
from jobcron.errors import ConfigurationError, DuplicateJob, InvalidJobData, UnknownJobType
from jobcron.operations.schedules import acts as schedules
from jobcron.settings.datatypes import MISSED, OVERLAP

HEADS = ("schedule", "state", "due (UTC)", "when", "zone", "job", "last slot", "outcome", "last job", "missed")

Options = argparse.Namespace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add = parser.add_argument
    actions = ("list", *ACTIONS)
    add(
        "action", nargs="?", choices=actions, default="list", metavar="ACTION", help=f"one of {', '.join(actions)}"
    )
    add("name", nargs="?", metavar="NAME", help="the schedule")
    add("--reason", metavar="TEXT", help="of pause: why, for people who see the pause")
    add("--json", action="store_true", help="as JSON")
    of_add = parser.add_argument_group("of add and change", "As in docs/reference/configuration.md.").add_argument
    of_add("--job", metavar="NAME", help="a job type, a job class or a function of the application")
    of_add("--argument", action="append", default=[], type=argument, metavar="NAME=VALUE", help="JSON, or a text")
    of_add("--cron", metavar="EXPRESSION", help="five fields, or a word such as @daily")
    of_add("--every", metavar="DURATION", help="an interval instead of --cron, such as 15m")
    of_add("--time-zone", metavar="ZONE", help="the time zone of --cron; by default UTC")
    of_add("--missed", choices=MISSED, help="what to do about slots that passed while nothing ran")
    of_add("--missed-grace", metavar="DURATION", help="create no jobs for slots that are later than this")
    of_add("--missed-bound", metavar="N", help="with --missed all: make up for at most N slots at once")
    of_add("--overlap", choices=OVERLAP, help="what to do while the last job has not ended")


def perform(options: Options) -> int:
    """Run the subcommand, and return its exit status.

    Raises:
        UserMistake: the configuration, a value or the database is wrong, or there is no such schedule.
    """
    if (options.name is None) != (options.action == "list"):
        expected = "no name" if options.action == "list" else "the name of a schedule"
        raise ConfigurationError(f"schedules {options.action}: expected {expected}")
    if options.reason is not None and options.action != "pause":
        raise ConfigurationError(f"schedules {options.action}: expected --reason with pause only")
    if options.action == "list":
        return _list(options)
    with opened_database(options.config, needs_application=options.action in NEEDING) as (_, database):
        try:
            said = ACTIONS[options.action](options, database)
        except (InvalidJobData, UnknownJobType, DuplicateJob) as error:
            raise ConfigurationError(f"schedules {options.action} {options.name}: {error}") from error
    say_json({"schedule": options.name, "said": said}) if options.json else say(said)
    return 0


def _list(options: Options) -> int:
    with opened_for_reading(options.config) as (_, connection):
        states = schedules.schedule_states(connection)
    if options.json:
        say_json({"schedules": states})
        return 0
    rows = [
        (
            *(s.name, s.state, s.due, s.when, s.time_zone, s.job),
            *(s.last_slot, s.last_outcome, s.last_job, s.missed),
        )
        for s in states
    ]
    say_table(HEADS, rows)
    return 0


def _pause(options: Options, database: Database) -> str:
    with database.begin() as connection:
        schedules.pause(connection, options.name, reason=options.reason)
    return f"{options.name} is paused"


def _resume(options: Options, database: Database) -> str:
    with database.begin() as connection:
        due = schedules.resume(connection, options.name)
    return f"{options.name} is due {'never' if due is None else f'at {cell(due)} UTC'}"


def _run(options: Options, database: Database) -> str:
    with closing(database.session()) as session, use_session(session):
        number = schedules.run_now(session, options.name)
        session.commit()
    return f"job {number} is waiting"


def _add(options: Options, database: Database) -> str:
    with database.begin() as connection:
        schedules.add_by_hand(connection, options.name, _texts(options))
    return f"{options.name} is made"


def _change(options: Options, database: Database) -> str:
    with database.begin() as connection:
        schedules.change_by_hand(connection, options.name, _texts(options))
    return f"{options.name} is changed"


def _delete(options: Options, database: Database) -> str:
    with database.begin() as connection:
        schedules.delete_by_hand(connection, options.name)
    return f"{options.name} is deleted"


def _texts(options: Options) -> dict[str, str | None]:
    keys = ("job", "cron", "every", "time_zone", "missed", "missed_grace", "missed_bound", "overlap")
    arguments = json.dumps(dict(options.argument)) if options.argument else None
    return {**{key: getattr(options, key) for key in keys}, "arguments": arguments}


ACTIONS: dict[str, Callable[[Options, Database], str]] = {
    "pause": _pause,
    "resume": _resume,
    "run": _run,
    "add": _add,
    "change": _change,
    "delete": _delete,
}
"""What can be done with schedules."""

NEEDING = ("run", "add", "change")
"""Those that need the application."""
