"""A dispatcher of an application's own, which only notes what it is offered."""

from __future__ import annotations

import time
from collections.abc import Sequence

from zope.interface import implementer

from jobcron import IDispatcher
from jobcron.settings.settings import Section, Settings

SECTIONS = """
[act]
source_interface: fooapp.IActJobSource
dispatch: dispatchapp:Noting

[do_foo]
source_interface: fooapp.IDoFooJobSource
"""

offered: list[tuple[str, list[int]]] = []
"""What was offered: each time the name of the section and the numbers of the jobs."""

withdrawn: list[tuple[str, list[int]]] = []
"""What was taken back, in the same way."""

errors: list[Exception] = []
"""What the next offers raise, or the next attempts to take some back."""

seconds = 0.0
"""How long an offer takes."""


class Runners:
    """Makes runners of its own."""

    def for_source(self, *arguments: object, **options: object) -> None:
        """Make none."""


RUNNERS = Runners()


@implementer(IDispatcher)
class Noting:
    """Notes what it is asked, or raises an error."""

    def __init__(self, settings: Settings, section: Section) -> None:
        self.section = section.name

    def offer(self, job_ids: Sequence[int]) -> None:
        """Note numbers."""
        if errors:
            raise errors.pop()
        time.sleep(seconds)
        offered.append((self.section, list(job_ids)))

    def status(self) -> str:
        """Return how many were noted."""
        return f"noted: {len(offered)}"

    def withdraw(self, job_ids: Sequence[int]) -> None:
        """Note numbers."""
        if errors:
            raise errors.pop()
        withdrawn.append((self.section, list(job_ids)))
