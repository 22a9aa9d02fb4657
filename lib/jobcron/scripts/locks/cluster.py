"""One run at a time of a section on all hosts: ``lock: cluster``.

Besides the host's lock, such a run holds a row in the database, under a lease: nothing of it is bound to a
session, so poolers may stand between. Who finds it taken leaves a wish, and whoever has wished longest gets the
lock next.
"""
# why: decisions 2026-11-30, one run on all hosts

from __future__ import annotations

import os
import time
from contextlib import suppress

from jobcron.database.sql import lines
from jobcron.errors import LockHeld
from jobcron.jobs.lease import SectionLease, Trouble
from jobcron.queue.tick import Tick, Unanswered
from jobcron.scripts.locks.holders import read_place
from jobcron.scripts.locks.lock import RunLock
from jobcron.scripts.locks.lock_holder import ClusterHolder
from jobcron.settings.database_url import POSTGRESQL, backend_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobcron.settings.settings import Section, Settings

    Fetch = Callable[[str, dict[str, object]], tuple[object, ...] | None]

TURN_SECONDS = 5.0
"""How long a run gives way to those who have wished longer: cron starts all at one second, and clocks differ."""

LOOK_SECONDS = 0.25


def fetcher(settings: Settings, user: str | None) -> Fetch:
    """Return what executes statements, each over a connection of its own; see `SectionLock`.

    Args:
        settings: the instance's.
        user: the database role; None: the URL's user.
    """

    def fetch(name: str, parameters: dict[str, object]) -> tuple[object, ...] | None:
        tick = Tick(settings.database_url, user, settings.activity_interval)
        try:
            return tick.fetch(name, parameters)
        finally:
            tick.close()

    return fetch


class SectionLock(RunLock):
    """The lock of a section of which one run goes on at a time, on whatever host.

    Args:
        settings: the instance's.
        section: the section.
        what: a description of the directory of all locks of this host, for messages.
        fetch: executes a statement of `jobcron.database.sql`, by its name, and returns its first row. It may raise
            `Unanswered`.

    Attributes:
        lease: what the run holds in the database; None: nothing, or nothing yet.
        trouble: why the database could not be asked for it; None: it was.
    """

    def __init__(self, settings: Settings, section: Section, what: str, fetch: Fetch) -> None:
        super().__init__(settings.lock_dir, section.name, what)
        self._is_remote = backend_of(settings.database_url) == POSTGRESQL
        self._section = section
        self._fetch = fetch
        self._name = ""
        self._is_unanswered = False
        self._gives_way_since: float | None = None

    def take_lease(self) -> None:
        """Take the lease, once the host's lock is held; give way to those who have wished for it longer.

        Raises:
            LockHeld: another run has it.
        """
        while not self.try_lease():
            time.sleep(LOOK_SECONDS)

    def try_lease(self) -> bool:
        """Take the lease as `take_lease`, without waiting; return False if others have the first turn.

        Raises:
            LockHeld: another run has it.
        """
        self.trouble = None
        try:
            return self._try_lease()
        except Unanswered as error:
            self.trouble = _trouble_of(error)
            return True  # the run finds out what is wrong, and says so

    def release(self) -> None:
        """Release the lease, and then the host's lock."""
        if self.lease is not None and self.descriptor is not None:
            wanted: dict[str, object] = {"section": self._section.name, "token": self.lease.token}
            try:
                self._fetch("lock_release", wanted)
            except Unanswered:  # whoever gets this host's lock next takes the lease over
                self.died(self._name)
        elif self._is_unanswered:  # it may have been taken
            self.died(self._name)
        self.lease, self._name, self._is_unanswered = None, "", False
        super().release()

    def _try_lease(self) -> bool:
        wanted: dict[str, object] = {"section": self._section.name, "place": self._place()}
        row = self._fetch("lock_state", {"section": self._section.name})
        if row is not None:
            holder = ClusterHolder(self._section.name, *row)  # type: ignore[arg-type]
            if holder.seconds_left > 0 and holder.name not in self.gone:
                self._gives_way_since = None
                with suppress(Unanswered):  # a job of the holder may have SQLite's only lock
                    self._fetch("lock_wish", wanted)
                raise LockHeld(holder.describe())
        self._gives_way_since = self._gives_way_since or time.monotonic()
        insists = time.monotonic() >= self._gives_way_since + TURN_SECONDS
        return self._taken({**wanted, "insists": int(insists)})

    def _taken(self, wanted: dict[str, object]) -> bool:
        self._name = self._name or self.claims() or f"{os.uname().nodename}:{os.getpid()}"
        seconds, sent = self._section.lock_lease, SectionLease.clock()
        more = {"holder": self._name, "gone": lines(self.gone), "lease_seconds": seconds}
        self._is_unanswered = True
        row = self._fetch("lock_take", {**wanted, **more})
        self._is_unanswered = False
        if row is None:
            return False
        self.lease = SectionLease(self._section.name, int(str(row[0])), seconds, sent, is_remote=self._is_remote)
        self._gives_way_since = None
        with suppress(Unanswered):  # others give way to us in vain, once
            self._fetch("lock_taken", wanted)
        return True

    def _place(self) -> str:
        """Return what tells the runs of this host, for this instance, from those of others."""
        place = None if self.descriptor is None else read_place(self.descriptor)
        return f"{os.uname().nodename}, {place or self.path}"


def _trouble_of(error: Unanswered) -> Trouble:
    from jobcron.database.trouble import INSUFFICIENT_PRIVILEGE, sqlstate_of  # slow to import

    is_missing_right = sqlstate_of(error.__cause__) == INSUFFICIENT_PRIVILEGE
    return Trouble(" ".join(str(error).split()), is_missing_right)


class WorkersLock(SectionLock):
    """The same for a worker, which never waits, and tries again when it looks for work again."""

    def acquire(self) -> None:
        """Take the host's lock, and the lease.

        Raises:
            LockHeld: another run has one of them, or others have the first turn.
            DirectoryError: the file of the host's lock cannot be used.
        """
        super().acquire()
        try:
            if not self.try_lease():
                raise LockHeld(f"others have wished longer for the lock of section {self._section.name}")
        except BaseException:
            self.release()
            raise
