"""Which sections have work: the tick's question, asked again and again over one connection for each role."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from jobcron.database.connecting.patient import Patience, Patient
from jobcron.queue.tick import LIMITED, READY, TELL_SECONDS, Tick, Unanswered
from jobcron.scripts._telling.quiet_runs import QuietRuns, in_turn
from jobcron.scripts.locks.holders import lock_file, names_of_the_dead
from jobcron.scripts.worker._line import LOOK, LOOK_BACK, RENEW
from jobcron.settings.settings import Section, Settings

_WORDS = {READY: LOOK, LIMITED: LOOK_BACK}

OWN_READY_SECONDS = 10.0
"""How often a section is run whose source finds its ready jobs itself: the database does not know them."""


class Lookout:
    """Asks which sections have work.

    Args:
        settings: the instance's.
        types: the type names of sources, by each dotted name of a source.
        gone: returns the names of a section's runs that are over, if the worker holds its lock.

    Attributes:
        patience: how long it waits for a server that does not answer; without patience it counts as one that has
            answered nothing.
    """

    def __init__(
        self, settings: Settings, types: dict[str, str], gone: Callable[[str], tuple[str, ...] | None]
    ) -> None:
        self._settings = settings
        self._types = types
        self._gone = gone
        self.patience: Patience = lambda: True
        self._kinds: dict[str, str] = {}
        self._ticks: dict[str | None, Tick] = {}
        self._looked_at: dict[str, float] = {}

    def with_work(
        self, sections: Iterable[Section], *, only_looks: bool = False, patience: float = 0.0
    ) -> set[str]:
        """Return the names of the sections that have work, or whose database does not answer.

        Args:
            sections: the sections.
            only_looks: write nothing; else the rows of runs that would find nothing are written.
            patience: how long jobs are to have been ready, in seconds: younger ones are left to others.
        """
        by_role: dict[str | None, dict[str, str]] = {}
        found = set()
        self._kinds = {}
        now = time.monotonic()
        for section in in_turn([*sections], self._settings.activity_interval):
            type_name = self._types.get(section.source_interface or "")
            if type_name is not None:
                by_role.setdefault(section.dbuser, {})[section.name] = type_name
            elif now >= self._looked_at.get(section.name, 0.0) + OWN_READY_SECONDS:
                self._looked_at[section.name] = now
                found.add(section.name)
        runs = QuietRuns(self._settings)
        for role, types in by_role.items():
            gone = {name: self._gone_of(name) for name in types}
            tick = self._tick(role)
            tick.may_note = None if only_looks else runs.may_note
            found |= tick.with_work(types, gone, self._settings.channels_of(types), patience)
            self._kinds |= tick.kinds
        return found

    def word_for(self, section: str) -> bytes:
        """Return what to tell a waiting process of a section that was last found to have work."""
        return _WORDS.get(self._kinds.get(section, ""), RENEW)

    def was_left(self, section: str) -> None:
        """Note that a section with work was not run: the next look finds it again."""
        self._looked_at.pop(section, None)

    @property
    def is_answered(self) -> bool:
        """Whether the databases have answered the last look; if not, the sections' runs say why."""
        return all(tick.is_answered for tick in self._ticks.values())

    def tell(self, name: str, parameters: dict[str, object]) -> str | None:
        """Execute a short statement that writes; return what was wrong: see `Tick.tell`."""
        tick = next(iter(self._ticks.values()), None) or self._tick(None)
        return tick.tell(name, parameters)

    def ask(self, name: str, parameters: dict[str, object]) -> tuple[object, ...] | None:
        """Return the first row of a short statement; None: the database does not answer at once."""
        tick = next(iter(self._ticks.values()), None) or self._tick(None)
        with suppress(Unanswered):
            return tick.fetch(name, parameters, TELL_SECONDS)
        return None

    def fetch(self, role: str | None, name: str, parameters: dict[str, object]) -> tuple[object, ...] | None:
        """Execute a statement as a role, and return its first row; see `Tick.fetch`."""
        return self._tick(role).fetch(name, parameters)

    def descriptors(self) -> list[int]:
        """Return the descriptors of the open connections."""
        return [number for tick in self._ticks.values() if (number := tick.descriptor()) is not None]

    def close(self) -> None:
        """Close the connections."""
        for tick in self._ticks.values():
            tick.close()

    def _tick(self, role: str | None) -> Tick:
        if role not in self._ticks:
            settings = self._settings
            self._ticks[role] = Tick(settings.database_url, role, settings.activity_interval, self._connected)
        return self._ticks[role]

    def _connected(self, url: str, user: str | None) -> Patient:
        return Patient(url, user, lambda: self.patience())

    def _gone_of(self, section: str) -> tuple[str, ...]:
        gone = self._gone(section)
        return names_of_the_dead(lock_file(self._settings.lock_dir, section)) if gone is None else gone
