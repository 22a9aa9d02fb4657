"""What ``jobcron check-config`` says of channels."""

from __future__ import annotations

from collections.abc import Iterator

from jobcron.commands._output import Finding
from jobcron.jobs.moves.channels import NO_LIMIT, described
from jobcron.jobs.registry import registered
from jobcron.jobs.runnable import BaseRunnableJob
from jobcron.operations.processes.channels import is_within
from jobcron.settings.settings import Settings


def channel_findings(settings: Settings) -> Iterator[Finding]:
    """Report the limits of channels, and which sections' and classes' channels they are for."""
    used = {section.channel for section in settings.sections.values() if section.channel is not None}
    for job_class in registered().values():
        if issubclass(job_class, BaseRunnableJob) and "channel" in job_class.job_defaults:
            used.add(str(job_class.job_defaults["channel"]))
    for name, channel in sorted(settings.channels.items()):
        place = f"{settings.path}: section [channel:{name}]"
        if described(channel) == NO_LIMIT:
            yield Finding(
                f"{place}: expected a limit such as capacity, got none: it does nothing", is_warning=True
            )
        else:
            inside = sorted(other for other in used if is_within(other, name))
            yield Finding(f"channel {name}: {described(channel)}; of {', '.join(inside) or 'jobs that name it'}")
