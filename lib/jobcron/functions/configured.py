"""Functions that the configuration registers: the key ``functions`` of a section of their jobs."""

from __future__ import annotations

from jobcron.errors import ConfigurationError, InvalidJobData
from jobcron.functions.registered import register
from jobcron.settings.instance import load_settings
from jobcron.settings.named import find_named
from jobcron.settings.settings import Settings


def register_configured(settings: Settings | None = None) -> None:
    """Import and register the functions that sections name, under these names.

    Runners do so by themselves; a process that makes such jobs by name has to call this.

    Args:
        settings: the instance's; None: those of the script that runs, or of JOBCRON_CONFIG.

    Raises:
        ConfigurationError: one is not there, or cannot be called by a job.
    """
    settings = settings or load_settings()
    for section in settings.sections.values():
        place = f"{settings.path}: section [{section.name}], key functions"
        for name in section.functions or ():
            try:
                register(find_named(name, place), name)
            except InvalidJobData as error:
                raise ConfigurationError(f"{place}: {error}") from error
