"""The dispatchers that come with jobcron, by the short names that the key ``dispatch`` takes for them.

They lie above this room, as those of applications do; another one needs an entry here and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

from jobcron.settings.settings import Section, Settings

CELERY = "celery"


class Known(NamedTuple):
    """A dispatcher that comes with jobcron.

    Attributes:
        factory: where its class is, as ``module:callable``.
        withdraws: whether it can take numbers back; if not, it is not even imported for that.
    """

    factory: str
    withdraws: bool


KNOWN = {CELERY: Known("jobcron.celery.sender:CeleryDispatcher", withdraws=False)}


def dispatcher_named(name: str) -> Known:
    """Return the dispatcher that a key ``dispatch`` names; an application's own may be able to do all."""
    return KNOWN.get(name) or Known(name, withdraws=True)


def name_for(section: Section, settings: Settings) -> str | None:
    """Return the name of the dispatcher for a section's jobs, always or on request; None: there is none."""
    if section.source_interface is None or section.is_alone_everywhere:
        return None
    return section.dispatch or (CELERY if settings.celery_broker_url is not None else None)
