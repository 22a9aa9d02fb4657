"""Find the dispatcher that a section's key ``dispatch`` names, and bear its errors."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Protocol, cast

from jobcron.dispatch.known import dispatcher_named, name_for
from jobcron.errors import JobcronError
from jobcron.reports.logs import NO_OOPS
from jobcron.reports.plurals import counted
from jobcron.settings import instance
from jobcron.settings.named import find_named
from jobcron.settings.secrets import Redactor
from jobcron.settings.settings import Section, Settings

REST_SECONDS = 10.0
"""How long a dispatcher that has failed is not asked again: else each commit would wait for its time-out."""

COMMIT_SECONDS = 3.0
"""How long one commit may wait for dispatchers in all: what they have not got by then is left to cron."""

logger = logging.getLogger("jobcron.dispatch")

_deadline: ContextVar[float] = ContextVar("jobcron_offer_deadline", default=math.inf)


@contextmanager
def bounded() -> Iterator[None]:
    """Let all offers in the block take `COMMIT_SECONDS` together."""
    token = _deadline.set(time.monotonic() + COMMIT_SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Return how long the offers of the current commit may still take; of none, as long as they like."""
    return _deadline.get() - time.monotonic()


class Rest:
    """Whether what carries numbers has failed just now: the sections that share it rest together."""

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self) -> None:
        """Ask it no more for a while."""
        self._until = time.monotonic() + REST_SECONDS

    def is_on(self) -> bool:
        """Return whether it is not to be asked yet."""
        return time.monotonic() < self._until


class Dispatcher(Protocol):
    """What carries numbers: see `jobcron.interfaces.IDispatcher`."""

    def offer(self, job_ids: Sequence[int]) -> None:
        """Hand over the numbers of jobs."""

    def status(self) -> str:
        """Return how it is."""

    def withdraw(self, job_ids: Sequence[int]) -> None:
        """Take numbers back."""


class SectionDispatcher:
    """The dispatcher of a section, which is made when it is first used.

    Args:
        settings: the instance's.
        section: the section.
        name: what the key ``dispatch`` says.
        rest: that of what carries its numbers.
    """

    def __init__(self, settings: Settings, section: Section, name: str, rest: Rest) -> None:
        self._settings = settings
        self.section = section
        self.name = name
        self._made: Dispatcher | None = None
        self._rest = rest

    @property
    def is_automatic(self) -> bool:
        """Whether each job of the section is offered, not only those for which somebody asks for it."""
        return self.section.dispatch is not None

    @property
    def is_resting(self) -> bool:
        """Whether it has failed just now, and is not asked again yet."""
        return self._rest.is_on()

    def made(self) -> Dispatcher:
        """Return the dispatcher.

        Raises:
            ConfigurationError: there is none of that name, or something that it needs is missing.
        """
        if self._made is None:
            place = f"{self._settings.path}: section [{self.section.name}], key dispatch"
            factory = find_named(dispatcher_named(self.name).factory, place)
            self._made = cast("Dispatcher", factory(self._settings, self.section))
        return self._made

    def offer(self, job_ids: Sequence[int]) -> bool:
        """Offer jobs; log an error, and leave the jobs to cron. Return whether they were handed over."""
        if self.is_resting:
            return False
        try:
            dispatcher = self.made()
            if seconds_left() <= 0:
                raise TimeoutError(
                    f"the commit has waited for {COMMIT_SECONDS:g} seconds: {counted(len(job_ids), 'job')} left"
                )
            dispatcher.offer(job_ids)
        except Exception as error:
            self._tell(error, "offered to", f"nor are any for {REST_SECONDS:.0f} seconds; cron runs them")
            return False
        return True

    def withdraw(self, job_ids: Sequence[int]) -> None:
        """Take numbers of jobs back, if it can; log an error: a number that arrives all the same is dropped."""
        if self.is_resting or not dispatcher_named(self.name).withdraws:
            return
        try:
            self.made().withdraw(job_ids)
        except Exception as error:
            self._tell(error, "withdrawn from", "their numbers will be dropped")

    def told(self, error: Exception) -> str:
        """Return what an error of the dispatcher's says, in one line and without secrets."""
        from jobcron.reports.error_text import ErrorText  # slow to import

        text = ErrorText.of(error, Redactor(self._settings.secrets()))
        return text.line if isinstance(error, JobcronError) else str(text)

    def _tell(self, error: Exception, what: str, outcome: str) -> None:
        """Log what could not be done, and rest."""
        self._rest.begin()
        logger.warning(
            "Jobs of section %s could not be %s %s, %s: %s",
            self.section.name,
            what,
            self.name,
            outcome,
            self.told(error),
            extra=NO_OOPS,
        )


class Dispatchers:
    """The dispatchers of an instance.

    Args:
        settings: the instance's.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        rests: defaultdict[str, Rest] = defaultdict(Rest)  # if it is silent, one section has waited for all
        self._of_sections = {
            section.name: SectionDispatcher(settings, section, name, rests[name])
            for section in settings.sections.values()
            if (name := name_for(section, settings)) is not None
        }
        self._by_source: dict[str, SectionDispatcher] = {}
        for section in settings.sections.values():
            found = self._of_sections.get(section.name)
            if found is not None and section.source_interface is not None:
                self._by_source.setdefault(section.source_interface, found)

    def __bool__(self) -> bool:
        return bool(self._of_sections)

    def of_section(self, name: str) -> SectionDispatcher | None:
        """Return the dispatcher of a section; None: it has none."""
        return self._of_sections.get(name)

    def of_source(self, names: Iterable[str]) -> SectionDispatcher | None:
        """Return the dispatcher of the first section whose source has one of these dotted names."""
        return next((self._by_source[name] for name in names if name in self._by_source), None)


class _Kept(NamedTuple):
    """What was found out last: a connection must not be shared with a forked process, so each has its own."""

    pid: int
    config: str
    present: Settings | None
    found: Dispatchers | None


_kept: _Kept | None = None


def current_dispatchers() -> Dispatchers | None:
    """Return the dispatchers of the instance whose script runs here, or which JOBCRON_CONFIG names; None: neither.

    An instance that has a mistake when it is first asked for is logged, and has none: its jobs are left to cron.
    """
    global _kept
    present = instance.present_settings()
    config = "" if present is not None else os.environ.get(instance.CONFIG_VARIABLE, "")
    if present is None and not config:
        return None
    key = (os.getpid(), config, present)
    if _kept is None or _kept.pid != key[0] or _kept.config != config or _kept.present is not present:
        _kept = _Kept(*key, _dispatchers_of(present))
    return _kept.found


def _dispatchers_of(present: Settings | None) -> Dispatchers | None:
    try:
        settings = present or instance.load_settings(asks_application=False)
    except JobcronError as error:
        logger.warning("No jobs are offered to anybody; cron runs them: %s", error, extra=NO_OOPS)
        return None
    return Dispatchers(settings) or None
