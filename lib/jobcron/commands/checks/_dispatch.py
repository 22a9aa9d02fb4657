"""What ``jobcron check-config`` says of sections whose jobs are offered to a dispatcher."""

from __future__ import annotations

from collections.abc import Iterator

from jobcron.commands._output import Finding
from jobcron.dispatch.dispatchers import Dispatchers
from jobcron.errors import UserMistake
from jobcron.settings.settings import Settings


def dispatch_findings(settings: Settings) -> Iterator[Finding]:
    """Report, for each section with the key ``dispatch``, whether its jobs can be offered, and can be received."""
    from jobcron.scripts.worker.receiver import check_section  # it imports what runs jobs

    dispatchers = Dispatchers(settings)
    for section in settings.sections.values():
        dispatcher = dispatchers.of_section(section.name)
        if dispatcher is None or not dispatcher.is_automatic:
            continue
        told = f"section {section.name}: its jobs are offered to {dispatcher.name}"
        try:
            made = dispatcher.made()
            check_section(settings, section)
            yield Finding(f"{told}: {made.status()}")
        except UserMistake as error:
            yield Finding(str(error), error.exit_status)
        except Exception as error:  # of any dispatcher
            yield Finding(f"{told}, which does not answer: {dispatcher.told(error)}", is_warning=True)
