"""Register the functions that sections of the configuration list in the key ``functions``."""

from __future__ import annotations

from jobcron.errors import ConfigurationError, InvalidJobData
from jobcron.functions.registered import register
from jobcron.settings.instance import load_settings
from jobcron.settings.named import find_named
from jobcron.settings.settings import Settings


def register_configured(settings: Settings | None = None) -> None:
    """Import the functions that sections list, and register them under the listed names.

    Runners do this themselves; a process that creates jobs of such functions by name must call this.

    Args:
        settings: the instance's settings; None: those of the current script, or of JOBCRON_CONFIG.

    Raises:
        ConfigurationError: a function does not exist, or a job cannot call it.
    """
    settings = settings or load_settings()
    for section in settings.sections.values():
        place = f"{settings.path}: section [{section.name}], key functions"
        for name in section.functions or ():
            try:
                register(find_named(name, place), name)
            except InvalidJobData as error:
                raise ConfigurationError(f"{place}: {error}") from error
