"""Check the instances that a configuration names besides its own."""

from __future__ import annotations

from collections.abc import Iterator

from jobcron.commands._output import Finding
from jobcron.errors import ConfigurationError
from jobcron.scripts.instances import Patterns, read
from jobcron.settings.settings import Settings


def check_instances(settings: Settings) -> Iterator[Finding]:
    """Yield the instances that are there, what is wrong with their configurations, and patterns of nothing."""
    place = settings.place("instances")
    for pattern in settings.instances or ():
        if not Patterns([pattern], place).find():
            yield Finding(f"{place}: no file matches {pattern}", is_warning=True)
    for instance in Patterns(settings.instances or (), place).find():
        mistake = read(instance).mistake
        if mistake is None:
            yield Finding(f"instance {instance.name}: {instance.path}")
        else:
            yield Finding(mistake, ConfigurationError.exit_status)
