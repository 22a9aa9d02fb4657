"""``jobcron restored``: make a database safe to use after it was restored from a backup."""

from __future__ import annotations

import argparse
import logging
from contextlib import closing
from datetime import UTC, datetime

from jobcron.commands._output import say
from jobcron.database.database import Database
from jobcron.database.version import check_schema
from jobcron.interfaces import JobStatus
from jobcron.jobs.hand_moves import operator_name
from jobcron.jobs.moves.restored import TOKEN_LEAP, Restored, Suspect
from jobcron.reports.plurals import counted
from jobcron.settings.instance import load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=_past,
        help="when the backup was taken, such as 2026-11-29T03:17 (local time) or 2026-11-29T03:17Z: later jobs "
        "stay; by default all jobs are from the backup",
    )
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--dry-run", action="store_true", help="only list the jobs")
    group.add_argument("--yes", action="store_true", help="suspend the jobs, and raise all numbers and tokens")


def _past(words: str) -> datetime:
    try:
        found = datetime.fromisoformat(words).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-11-29T03:17, got: {words!r}") from None
    if found > datetime.now(UTC):
        raise argparse.ArgumentTypeError(f"expected a time in the past, got: {words!r}")
    return found


def perform(options: argparse.Namespace) -> int:
    """Suspend what may have run since the backup, raise all numbers and tokens; return the exit status.

    Raises:
        UserMistake: the configuration, the database or its schema is wrong.
    """
    settings = load_settings(options.config)
    with closing(Database(settings.database_url, origin=settings.database_origin)) as database:
        with database.begin(writing=False) as connection:
            check_schema(connection, database.where, logging.getLogger("jobcron"))
        _restore(Restored(database, options.since, operator_name()), options.dry_run)
    return 0


def _restore(restored: Restored, is_dry_run: bool) -> None:
    # Numbers first: jobs may be created meanwhile.
    last = 0 if is_dry_run else restored.pass_over_ids()
    count = 0
    for window in restored.suspects():
        suspects = window if is_dry_run else restored.suspend(window)
        for suspect in suspects:
            say(_line(suspect))
        count += len(suspects)
    done = "nothing was changed" if is_dry_run else "suspended"
    say(f"{counted(count, 'job')} may have run since the backup: {done}")
    if is_dry_run:
        return
    raised, left = restored.raise_tokens()
    jobs = counted(raised, "job")
    say(f"the tokens of {jobs} were raised by {TOKEN_LEAP}; the next job's number is above {last}")
    if left:
        jobs = counted(left, "job")
        say(f"the tokens of {jobs} stay: they are too great to be raised, and no claim made them so")


def _line(suspect: Suspect) -> str:
    is_running = suspect.status is JobStatus.RUNNING
    when = "" if suspect.since is None else f" {suspect.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"job {suspect.id} ({suspect.type_name}): {suspect.status.name}, {'began' if is_running else 'due'}{when}"
    )
