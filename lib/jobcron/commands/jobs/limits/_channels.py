"""``jobcron channels``: list channels with what runs and waits in them; change their limits at once."""

from __future__ import annotations

import argparse

from sqlalchemy import Connection

from jobcron.commands._database import opened_database, opened_for_reading
from jobcron.commands._output import say
from jobcron.commands._printing import say_json, say_table
from jobcron.errors import ConfigurationError
from jobcron.operations.pauses import Scope
from jobcron.operations.processes.channels import (
    SHOWN,
    ChannelState,
    channel_states,
    pass_over,
    reset_limits,
    set_limits,
)
from jobcron.operations.processes.named import unknown_name
from jobcron.reports.complaints import complain
from jobcron.settings.datatypes import throttle_from
from jobcron.settings.settings import CHANNEL_RULE, Settings

ACTIONS = (
    "list: list the channels (the default); set NAME: change limits; reset NAME: return to the limits of the "
    "configuration; skip NAME: in a channel that keeps its order, go on without the jobs that hold up the others"
)

HEADS = ("channel", "running", "capacity", "per key", "throttle", "waiting", "jobs", "by", "state")

Options = argparse.Namespace


def limit_of(least: int) -> type[str]:
    """Return a converter of a limit: a number from `least` on, or none."""

    def convert(text: str) -> int | None:
        if text == "none":
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
            raise argparse.ArgumentTypeError(f"expected a whole number, at least {least}, or none; got {text}")
        return int(text)

    return convert  # type: ignore[return-value]


def throttle_of(text: str) -> tuple[float | None, float | None]:
    """Convert a number of starts and a period, or none, as a configuration has them."""
    if text == "none":
        return None, None
    try:
        count, seconds = throttle_from(text)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return count, seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = "List the channels with what runs and waits in them, or change their limits at once."
    actions = ("list", "set", "reset", "skip")
    parser.add_argument("action", nargs="?", choices=actions, default="list", metavar="ACTION", help=ACTIONS)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help=f"the channel, such as root.export: {CHANNEL_RULE}"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    of_set = parser.add_argument_group("of set", "What is not given stays as it is.").add_argument
    of_set(
        "--capacity",
        type=limit_of(0),
        metavar="N",
        default=argparse.SUPPRESS,
        help="how many jobs may run at once, or none for no limit",
    )
    of_set(
        "--per-key",
        type=limit_of(1),
        metavar="N",
        default=argparse.SUPPRESS,
        help="how many jobs with the same key may run at once, or none for no limit",
    )

    of_set(
        "--throttle",
        type=throttle_of,
        metavar="N/PERIOD",
        default=argparse.SUPPRESS,
        help="how many jobs may start in a period, such as 10/1m, or none for no limit",
    )
    of_set(
        "--sequential",
        choices=("channel", "target", "none"),
        default=argparse.SUPPRESS,
        help="keep the order of all jobs of the channel, of the jobs with the same key, or none",
    )


def perform(options: Options) -> int:
    """Run the subcommand, and return its exit status.

    Raises:
        UserMistake: the configuration, a value or the database is wrong, or there is no such channel.
    """
    if (options.name is None) != (options.action == "list"):
        expected = "no name" if options.action == "list" else "the name of a channel"
        raise ConfigurationError(f"channels {options.action}: expected {expected}")
    given = _given(options)
    if bool(given) != (options.action == "set"):
        of_set = "--capacity, --per-key, --throttle or --sequential"
        expected = of_set if options.action == "set" else "none of its options"
        raise ConfigurationError(f"channels {options.action}: expected {expected}")
    if options.action == "list":
        with opened_for_reading(options.config) as (settings, connection):
            states = channel_states(connection, settings)
    else:
        with (
            opened_database(options.config, needs_application=False) as (settings, database),
            database.begin() as connection,
        ):
            states = _change(connection, settings, options, given)
    if options.json:
        say_json({"channels": states})
    elif states or options.action == "list":
        say_table(HEADS, [_row(state) for state in states])
    else:
        say(f"{options.name} has no limit")
    return 0


def _given(options: Options) -> dict[str, object]:
    """Return the limits that were given, by their names."""
    given = {name: value for name, value in vars(options).items() if name in ("capacity", "per_key")}
    if "throttle" in vars(options):
        given["throttle"], given["period"] = options.throttle
    if "sequential" in vars(options):
        given["sequential"] = None if options.sequential == "none" else options.sequential
    return given


def _change(
    connection: Connection, settings: Settings, options: Options, limits: dict[str, object]
) -> list[ChannelState]:
    """Perform an action; return the channel as it is then, or nothing if it has no limit."""
    match options.action:
        case "set":
            unknown = unknown_name(connection, settings, Scope.CHANNEL, options.name)
            state = set_limits(connection, options.name, limits, settings=settings)
            if unknown is not None:
                complain(f"jobcron: warning: channels set: {unknown}; it limits what is created there from now on")
            return [state]
        case "skip":
            if not pass_over(connection, options.name):
                expected = "expected a channel in which a job keeps its turn"
                raise ConfigurationError(f"{expected}, got: {options.name}, in which none does")
            return [state for state in channel_states(connection, settings) if state.name == options.name]
        case _:
            left = reset_limits(connection, options.name, settings=settings)
            return [] if left is None else [left]


def _row(state: ChannelState) -> tuple[object, ...]:
    words = ["full"] if state.is_full else []
    if state.sequential is not None:
        words.append("in order" if state.sequential == "channel" else "in order for each key")
    if state.turns:
        words.append(f"turn of {' '.join(map(str, state.turns[:SHOWN]))}{' …' if state.turns[SHOWN:] else ''}")
    if state.pause is not None:
        words.append("paused")
    if state.changed_by is not None and state.origin is not None:
        words.append(f"changed by {state.changed_by}")
    return (
        *(state.name, state.used, state.capacity, state.per_key),
        None if state.throttle is None else f"{state.started} of {state.throttle} in {state.period:g} s",
        state.waiting if state.is_counted else f"{state.waiting}+",
        " ".join(str(place.job) for place in state.places) or None,
        " ".join(sorted({place.claimed_by or "?" for place in state.places})) or None,
        ", ".join(words) or "open",
    )
