"""The classes of sections that list tasks: ``jobcron.steps.sections.NAME`` is the source of section NAME.

There is nothing else here, because a section may have any name.
"""

from typing import Any as _Any


def __getattr__(name: str) -> _Any:
    from jobcron.settings.instance import load_settings
    from jobcron.steps.definitions import job_class

    settings = None if name.startswith("__") else load_settings()
    section = settings and settings.sections.get(name)
    if not section or section.tasks is None:
        raise AttributeError(f"expected a section [{name}] with the key tasks, found none")
    found = job_class(name, settings)
    found.check()
    return found
