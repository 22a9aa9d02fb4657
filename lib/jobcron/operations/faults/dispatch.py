"""Offers that nobody takes, and dispatchers that do not answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection

from jobcron.dispatch.dispatchers import Dispatchers
from jobcron.dispatch.offers import untaken
from jobcron.operations.reasons import Finding, span
from jobcron.queue.health import Health
from jobcron.reports.plurals import counted
from jobcron.settings.settings import Settings

UNTAKEN_SECONDS = 60.0
"""How old an offer is that somebody should have taken: as old as cron's tick needs to run the job."""


def dispatch_findings(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the dispatchers of sections that have the key ``dispatch``.

    Args:
        connection: a connection; it is only read.
        settings: the instance's settings.
    """
    for found in untaken(connection, UNTAKEN_SECONDS):
        told = (
            f"section {found.section}: {counted(found.number, 'job')} offered to {found.dispatcher}, the oldest "
            f"{span(timedelta(seconds=found.seconds))} ago, not taken"
        )
        yield Finding(
            "dispatch", Health.WARNING, told, "start a worker that receives them; cron runs them meanwhile"
        )
    dispatchers = Dispatchers(settings)
    for section in settings.sections.values():
        dispatcher = dispatchers.of_section(section.name)
        if dispatcher is None or not dispatcher.is_automatic:
            continue
        try:
            dispatcher.made().status()
        except Exception as error:  # of any dispatcher
            told = f"section {section.name}: {dispatcher.name} does not answer: {dispatcher.told(error)}"
            yield Finding("dispatch", Health.WARNING, told, "jobs are left to cron until it does")
