"""``jobcron check-runs``: for a monitoring system, with the exit statuses of its plugins (LP-27)."""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import redirect_stdout, suppress
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from jobcron.commands._output import say
from jobcron.commands._printing import say_json
from jobcron.database.database import Database
from jobcron.database.statements import expect_few_rows
from jobcron.database.trouble import first_line
from jobcron.database.version import check_file, check_schema
from jobcron.errors import UserMistake
from jobcron.jobs.moves.pauses import Scope
from jobcron.operations.processes.workers import check_workers
from jobcron.queue.health import (
    Check,
    Health,
    check_pauses,
    check_script,
    check_section,
    check_types,
    has_run,
    worst_of,
)
from jobcron.queue.sources import find_source
from jobcron.queue.views import RunnableView
from jobcron.reports.logs import visible
from jobcron.reports.plurals import counted
from jobcron.runner.application import load_application
from jobcron.schedules.health import check_schedules
from jobcron.scripts.locks.lock_holder import cluster_holder
from jobcron.settings.instance import load_settings, presented
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import Section, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

QUEUES = "queues"
"""What the line about queues that are paused begins with."""

CHANNELS = "all channels"
"""What the line about channels that are paused begins with."""

OTHER_TYPES = "other types"
"""What the line about types that no section runs begins with; no section can have this name."""


SCHEDULES = "all schedules"
"""What the line about schedules begins with."""

WORKERS = "all workers"
"""What the line about workers begins with."""

WHOLE = (QUEUES, CHANNELS, OTHER_TYPES, SCHEDULES, WORKERS)
"""Lines that are about no section."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("sections", nargs="*", metavar="NAME", help="a section or a cron script; by default all")
    parser.add_argument("--json", action="store_true", help="as JSON")


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    return check_runs(options.config, options.sections, as_json=options.json)


def check_runs(config: str | None, names: list[str], *, as_json: bool = False) -> int:
    """Print a summary and a line for each section, and return the status: 0 ok, 1 warning, 2 critical, 3 unknown.

    Args:
        config: the value of ``--config``.
        names: the names of sections and cron scripts; empty: all.
        as_json: whether to print it as JSON, as docs/reference/commands.md describes.
    """
    say_all = _say_json if as_json else _say
    try:
        settings = load_settings(config)
        found = _look(settings, names)
    except UserMistake as error:
        # Whoever is woken at night must see that the state of the jobs is unknown.
        return say_all(Health.UNKNOWN, [visible(str(error))], [])
    except ValueError as error:  # a time that somebody wrote wrongly by hand
        return say_all(Health.UNKNOWN, [f"a row cannot be read: {visible(str(error))}"], [])
    except DBAPIError as error:
        return say_all(Health.UNKNOWN, [Redactor(settings.secrets()).text(first_line(error.orig))], [])
    worst = worst_of(check.health for _, checks in found for check in checks)
    bad = [f"{name}: {c.text}" for name, checks in found for c in checks if c.health is worst]
    summary = [counted(sum(name not in WHOLE for name, _ in found), "section")] if worst is Health.OK else bad
    return say_all(worst, summary, found)


def _look(settings: Settings, names: list[str]) -> list[tuple[str, list[Check]]]:
    watched = settings.watch_scripts or {}
    database = Database(settings.database_url, origin=settings.database_origin)
    try:
        check_file(settings.database_url, database.where)
        with database.begin(writing=False) as connection:
            expect_few_rows(connection)
            check_schema(connection, database.where, logging.getLogger("jobcron"))
            found = []
            for name in names or [*settings.sections, *watched]:
                if name in settings.sections or not (name in watched or has_run(connection, name)):
                    section, limit = settings.section(name), partial(_time_limit, settings)
                    checks = check_section(connection, settings, section, limit)
                    found.append((name, [*checks, *_holder(connection, section)]))
                else:
                    found.append((name, check_script(connection, settings, name)))
            if not names:
                found += [
                    (QUEUES, check_pauses(connection, Scope.QUEUE)),
                    (CHANNELS, check_pauses(connection, Scope.CHANNEL)),
                    (OTHER_TYPES, check_types(connection, settings)),
                    (SCHEDULES, check_schedules(connection, settings, partial(_is_loaded, settings))),
                    (WORKERS, check_workers(connection)),
                ]
            return [(name, checks) for name, checks in found if checks]
    finally:
        database.close()


def _holder(connection: Connection, section: Section) -> Iterator[Check]:
    """Yield who holds the section's lock in the database, if it has one there."""
    holder = cluster_holder(connection, section.name) if section.is_alone_everywhere else None
    if holder is not None:
        yield Check(Health.OK, f"its lock is held by {holder}")


def _is_loaded(settings: Settings) -> bool:
    """Import the application, and return whether that is possible here."""
    with suppress(Exception), redirect_stdout(sys.stderr), presented(settings):
        load_application(settings)
        return True
    return False


def _time_limit(settings: Settings, section: Section) -> float | None:
    """Return the time limit of a section's class in seconds; None: it has none, or it cannot be imported here."""
    with suppress(Exception), redirect_stdout(sys.stderr), presented(settings):
        load_application(settings)
        return RunnableView(find_source(settings, section)).time_limit
    return None


def _line(name: str, checks: list[Check]) -> str:
    worst = worst_of(check.health for check in checks)
    return f"{worst.name:<8} {name}: {'; '.join(check.text for check in checks)}"


def _say(health: Health, summary: list[str], found: list[tuple[str, list[Check]]]) -> int:
    lines = [_line(name, checks) for name, checks in found]
    say("\n".join([f"JOBCRON {health.name} - {'; '.join(summary)}", *lines]))
    return int(health)


def _say_json(health: Health, summary: list[str], found: list[tuple[str, list[Check]]]) -> int:
    looked_at = [
        {
            "name": name,
            "health": worst_of(check.health for check in checks),
            "checks": [{"health": check.health, "text": check.text} for check in checks],
        }
        for name, checks in found
    ]
    say_json({"health": health, "summary": summary, "found": looked_at})
    return int(health)
