"""``jobcron retry``, ``cancel``, ``postpone`` and the like: move jobs."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

from sqlalchemy import Connection

from jobcron.commands._database import opened_database
from jobcron.commands._output import say
from jobcron.commands._printing import say_json
from jobcron.commands.jobs._filters import add_filters, age, job_id, moment, positive, priority, selection_of
from jobcron.database.database import Database
from jobcron.errors import ConfigurationError, InvalidJobData
from jobcron.jobs.moves.pauses import current_pauses
from jobcron.operations import acts
from jobcron.operations.acts import Act, Bulk, Refusal, act_on_selection, count_meant
from jobcron.operations.asking import DONE
from jobcron.operations.selection import Selection, check_type

SHOWN = 20
"""How many refused jobs are named."""

NUMBERS = 100
"""How many jobs that would be moved are named."""

SPREADING = ("retry", "resume", "postpone", "run-now")
"""The acts that have ``--spread``."""

NO_CHANNEL = "none"
"""With ``--to-channel``: no channel of their own; the names of channels begin with root."""

Options = argparse.Namespace

ACTS: dict[str, Callable[[Options], Act]] = {
    "retry": lambda options: acts.retry(options.spread),
    "cancel": lambda options: acts.cancel(),
    "suspend": lambda options: acts.suspend(),
    "resume": lambda options: acts.resume(options.spread),
    "set-done": lambda options: acts.set_done(),
    "postpone": lambda options: _postpone(options),
    "run-now": lambda options: acts.run_now(options.spread),
    "priority": lambda options: acts.set_priority(options.to),
    "move": lambda options: _move(options),
    "delete": lambda options: acts.delete(),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    name = parser.get_default("subcommand")
    add = parser.add_argument
    add("jobs", nargs="*", type=job_id, metavar="ID", help="the numbers of jobs; or filters, which need --yes")
    if name == "postpone":
        either = parser.add_mutually_exclusive_group(required=True)
        either.add_argument("--by", type=age, metavar="DURATION", help="due this long from now, such as 2h")
        either.add_argument(
            "--until", type=moment, metavar="TIME", help="due at this time; in ISO 8601, with a time zone"
        )
    if name in SPREADING:
        add(
            "--spread",
            type=age,
            metavar="DURATION",
            help="spread their due times over this long, so that they do not all start at once",
        )
    if name == "priority":
        add("--to", type=priority, required=True, metavar="N", help="the new priority; the lowest goes first")
    if name == "move":
        goal = parser.add_mutually_exclusive_group(required=True)
        goal.add_argument("--to", metavar="QUEUE", help="the new queue")
        goal.add_argument(
            "--to-channel",
            metavar="CHANNEL",
            help="the new channel, such as root.export; none: that of the section, if it has one",
        )
    add("--reason", metavar="TEXT", help="why, for the jobs' histories")
    add("--limit", type=positive, metavar="N", help="at most N jobs")
    add("--dry-run", action="store_true", help="say what would become of the jobs, and change nothing")
    add("--yes", action="store_true", help="go on although filters, not numbers, choose the jobs")
    add("--json", action="store_true", help="as JSON")
    add_filters(parser)


def perform(options: Options) -> int:
    """Move jobs; return 0 if all were moved, 1 if some were refused.

    Raises:
        UserMistake: the configuration, an option or the database is wrong; or ``--yes`` is missing.
    """
    try:
        act = ACTS[options.subcommand](options)
    except InvalidJobData as error:
        raise ConfigurationError(str(error)) from error
    with opened_database(options.config, needs_application=False) as (settings, database):
        selection = selection_of(options, settings, tuple(options.jobs))
        _check(options, act, selection, database)
        how = Bulk(reason=options.reason, limit=options.limit, is_dry=options.dry_run)
        return _moved(act, selection, how, database, options.json)


def _check(options: Options, act: Act, selection: Selection, database: Database) -> None:
    """Ask for ``--yes`` where filters choose the jobs: who reads the number knows whether they are right."""
    if not selection:
        raise ConfigurationError(f"expected the numbers of jobs, or filters: jobcron {act.name} --help has them")
    if options.jobs and selection != Selection(ids=selection.ids):
        raise ConfigurationError("expected the numbers of jobs, or filters, got both")
    if options.jobs:
        return
    with database.begin(writing=False) as connection:
        for name in selection.types:
            check_type(connection, name)
        if options.yes or options.dry_run:
            return
        count = count_meant(connection, act, selection)
        also = _other_meaning(connection, options)
    raise ConfigurationError(
        f"jobs that fit: {count}; give --yes to {act.name} them, or --dry-run to see what would be done{also}"
    )


def _other_meaning(connection: Connection, options: Options) -> str:
    """Return the end of a message that tells who resumes the jobs of something paused how the pause ends."""
    if options.subcommand == "resume":
        for pause in current_pauses(connection):
            if getattr(options, pause.scope, None) in (pause.name, [pause.name]):  # any object: the parsed options
                return f"\n{pause}; jobcron unpause --{pause.scope} {pause.name} ends that"
    return ""


def _moved(act: Act, selection: Selection, how: Bulk, database: Database, as_json: bool) -> int:
    """Move the jobs, and print what has become of them, also if an error or a signal ends it."""
    moved: list[int] = []
    refused: list[Refusal] = []
    number: int | None = None
    try:
        for outcome in act_on_selection(database, act, selection, how):
            moved += outcome.moved
            refused += outcome.refused
            number = outcome.act
    finally:
        if as_json:
            say_json(
                {"act": act.name, "number": number, "is_dry_run": how.is_dry, "moved": moved, "refused": refused}
            )
        else:
            told = f"jobcron undo {number} takes it back" if act.is_undoable else f"it is act {number}"
            tell(act.name, DONE[act.name], how, moved, refused, "" if number is None else f"; {told}")
    return 1 if refused else 0


def tell(name: str, done: str, how: Bulk, moved: list[int], refused: list[Refusal], more: str = "") -> None:
    """Print what became of jobs.

    Args:
        name: of the act.
        done: what it has done to those that it moved, as a participle.
        how: how it was done.
        moved: the jobs that were moved.
        refused: the others.
        more: the end of the first line.
    """
    would = "would be " if how.is_dry else ""
    say(f"{name}: {len(moved):,} {would}{done}, {len(refused):,} refused{more}")
    if how.is_dry and moved:
        rest = f" and {len(moved) - NUMBERS:,} more" if len(moved) > NUMBERS else ""
        say(f"  jobs: {' '.join(map(str, moved[:NUMBERS]))}{rest}")
    for refusal in refused[:SHOWN]:
        say(f"  job {refusal.job}: {refusal.reason}")
    if len(refused) > SHOWN:
        for reason, count in Counter(refusal.reason for refusal in refused[SHOWN:]).most_common(SHOWN):
            say(f"  {count:,} more: {reason}")


def _move(options: Options) -> Act:
    if options.to_channel is None:
        return acts.move(options.to)
    return acts.move_to_channel(None if options.to_channel == NO_CHANNEL else options.to_channel)


def _postpone(options: Options) -> Act:
    if options.until is not None:
        if options.spread is not None:
            raise ConfigurationError("expected --spread together with --by, got it with --until")
        return acts.postpone_until(options.until)
    return acts.postpone(options.by, options.spread)
