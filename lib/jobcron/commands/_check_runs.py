"""``jobcron check-runs``: for a monitoring system, with the exit statuses of its plugins (LP-27)."""

from __future__ import annotations

import argparse

from sqlalchemy.exc import DBAPIError

from jobcron.commands._output import say
from jobcron.database.database import Database
from jobcron.database.trouble import first_line
from jobcron.errors import UserMistake
from jobcron.queue.health import Check, Health, check_section
from jobcron.reports.logs import visible
from jobcron.settings.instance import load_settings
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import Section, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="by default all")


def perform(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit status."""
    return check_runs(options.config, options.sections)


def check_runs(config: str | None, names: list[str]) -> int:
    """Print a summary and a line for each section, and return the status: 0 ok, 1 warning, 2 critical, 3 unknown.

    Args:
        config: the value of ``--config``.
        names: the names of the sections; empty: all.
    """
    try:
        settings = load_settings(config)
        sections = [settings.section(name) for name in names] or list(settings.sections.values())
        found = _look(settings, sections)
    except UserMistake as error:
        # Whoever is woken at night must see that the state of the jobs is unknown.
        return _say(Health.UNKNOWN, [visible(str(error))], [])
    except ValueError as error:  # a time that somebody wrote wrongly by hand
        return _say(Health.UNKNOWN, [f"a row cannot be read: {visible(str(error))}"], [])
    except DBAPIError as error:
        return _say(Health.UNKNOWN, [Redactor(settings.secrets()).text(first_line(error.orig))], [])
    worst = max((check.health for _, checks in found for check in checks), default=Health.OK)
    bad = [f"{name}: {c.text}" for name, checks in found for c in checks if c.health is worst]
    summary = [f"{len(found)} sections"] if worst is Health.OK else bad
    return _say(worst, summary, [_line(name, checks) for name, checks in found])


def _look(settings: Settings, sections: list[Section]) -> list[tuple[str, list[Check]]]:
    database = Database(settings.database_url, origin=settings.database_origin)
    try:
        with database.begin(writing=False) as connection:
            return [(section.name, check_section(connection, settings, section)) for section in sections]
    finally:
        database.close()


def _line(name: str, checks: list[Check]) -> str:
    worst = max(check.health for check in checks)
    return f"{worst.name:<8} {name}: {'; '.join(check.text for check in checks)}"


def _say(health: Health, summary: list[str], lines: list[str]) -> int:
    say("\n".join([f"JOBCRON {health.name} - {'; '.join(summary)}", *lines]))
    return int(health)
