"""What ``jobcron check-config`` says of sections whose jobs are offered to a dispatcher."""

from __future__ import annotations

from collections.abc import Iterator

from jobcron.commands._output import Finding
from jobcron.dispatch.dispatchers import Dispatchers
from jobcron.errors import UserMistake
from jobcron.reports.error_text import ErrorText
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import Settings


def dispatch_findings(settings: Settings) -> Iterator[Finding]:
    """Report, for each section with the key ``dispatch``, whether its jobs can be offered, and can be received."""
    from jobcron.scripts.worker.receiver import check_section  # it imports what runs jobs

    dispatchers = Dispatchers(settings)
    for section in settings.sections.values():
        dispatcher = dispatchers.of_section(section.name)
        if dispatcher is None or not dispatcher.is_automatic:
            continue
        try:
            made = dispatcher.made()
            check_section(settings, section)
        except UserMistake as error:
            yield Finding(str(error), error.exit_status)
            continue
        told = f"section {section.name}: its jobs are offered to {dispatcher.name}"
        try:
            yield Finding(f"{told}: {made.status()}")
        except Exception as error:  # of any dispatcher
            why = ErrorText.of(error, Redactor(settings.secrets()))
            yield Finding(f"{told}, which does not answer: {why}", is_warning=True)
