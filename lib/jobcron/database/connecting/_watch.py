"""Connections to PostgreSQL that put themselves back at a job's boundary, whatever their driver.

What puts a connection back is a text that travels with a statement that is sent anyway: with the one that
completes the job, or else with the first one after the job, before that statement's transaction.
"""

from __future__ import annotations

import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from operator import attrgetter
from typing import Protocol, cast

from jobcron.database.connecting._session_state import LOCKS, Clearing, Forms, new_transaction
from jobcron.database.connecting.boundary import Boundary
from jobcron.database.connecting.sharing import Shared
from jobcron.database.statements import limit_idleness

_HARMLESS = re.compile(r"\s*(SHOW|SELECT pg_catalog\.version\(\))", re.IGNORECASE)
"""The beginning of what SQLAlchemy asks a new connection."""


class _Info(Protocol):
    """What a driver knows of a connection."""

    backend_pid: int
    user: str


class _Driver(Protocol):
    """A driver's connection."""

    closed: int | bool
    info: _Info

    def fileno(self) -> int: ...


class Watched(Shared):
    """A driver's connection that knows whether a job has used it; a subclass is one driver's."""

    errors: type[Exception]
    """The driver's errors."""

    kept: tuple[str, ...]
    """The attributes that hold what the driver keeps on its side of the connection."""

    def watch(self, boundary: Boundary) -> None:
        """Begin to watch.

        Args:
            boundary: counts the ends of jobs.
        """
        self._boundary = boundary
        self._passed = boundary.passed
        self._clearing: Clearing | None = None  # until the connection is set up
        self._is_used = False
        self._was_used_by_job = self._is_neighbours = False
        self.configuring = ""
        self._may_hold_locks = False
        self._is_leaving = False
        self._has_left = False
        self._settings: tuple[object, ...] | None = None
        self._kept_forms: set[str] | None = set()  # None: nothing is prepared any more
        self.rests_since = time.monotonic()

    @property
    def is_set_up(self) -> bool:
        """Whether it is known what the connection is to be put back to."""
        return self._clearing is not None

    # What the pool calls.

    def start(self, clearing: Clearing) -> None:
        """Record what puts the connection back to its present state."""
        self._clearing = clearing
        self._settings = self._driver_settings()
        self._is_used, self.configuring = False, ""

    def leave(self) -> None:
        """Put the connection back together with the next statement, the last one of a job's transaction."""
        self._is_leaving = True

    def keep_settings(self) -> None:
        """Put back what a job changed of the driver's settings, which no statement reaches."""
        if self._settings is None or self._passed == self._boundary.passed:
            return
        if self._settings != self._driver_settings():
            for name, value in zip(self.kept, self._settings, strict=True):
                setattr(self, name, value)

    def _driver_settings(self) -> tuple[object, ...]:
        return tuple(attrgetter(name)(self) for name in self.kept)

    # What cursors call.

    def note_configuring(self, statement: str) -> None:
        """Keep a statement that was executed before the connection was set up, unless it changes nothing."""
        if not _HARMLESS.match(statement):
            self.configuring += f"{statement};"

    def due(self) -> str:
        """Return what is to be sent before the next statement; mostly nothing."""
        if self._clearing is None:
            return ""
        if self._is_neighbours:
            return self._clearing.entering + limit_idleness()  # which was reset as well
        if self._passed != self._boundary.passed and self.is_between_transactions():
            if self._is_used:
                return self._clearing.entering + self.new_transaction()
            if self._may_hold_locks:
                return LOCKS
            self._passed = self._boundary.passed
        if self._is_leaving and self._is_used:
            return self._clearing.leaving
        return ""

    def is_sending(self) -> None:
        """Record that a statement is being sent: also one that fails may leave a lock."""
        self._is_used = self._was_used_by_job = True

    def was_sent(self, text: str) -> None:
        """Record that a statement succeeded after this text, which otherwise would be due again."""
        if self._is_leaving:
            self._is_leaving, self._has_left = False, True
        if not text or self._clearing is None:
            return
        self._is_neighbours = False
        self._may_hold_locks = text is self._clearing.leaving
        if not self._may_hold_locks:
            self._passed = self._boundary.passed
        if text != LOCKS and self._kept_forms:
            self._kept_forms.clear()  # with all else that was in the session

    def pass_boundary(self) -> None:
        """Send what is due as a statement of its own."""
        text = self.due()
        self.is_sending()
        if text:
            self.ask(text)
        self.was_sent(text)

    # What the end of a job calls that has begun no transaction.

    def send_alone(self, statement: Forms) -> list[tuple[object, ...]]:
        """Send a statement of ours that commits itself, and return the rows that it returns.

        What a job has left is cleared by the same message, before it; locks of the session by a later one. It is
        prepared, since planning takes longer than executing, unless that is cleared too, or a pooler is between.

        Raises:
            Exception: one of `errors`.
        """
        assert self._clearing is not None
        before = self._clearing.alone if self._is_used else LOCKS if self._may_hold_locks else ""
        kept = self._kept_forms if self._clearing.is_direct and not self._is_used else None
        with self.without_transaction():
            if kept is None:
                rows = self.ask(before + statement.plain())
            else:
                rows = self._send_prepared(before, statement, kept)
        if self._is_used and self._kept_forms:
            self._kept_forms.clear()
        self._may_hold_locks, self._is_used = self._is_used, False
        self._passed, self.rests_since = self._boundary.passed, time.monotonic()
        return rows

    def _send_prepared(self, before: str, statement: Forms, kept: set[str]) -> list[tuple[object, ...]]:
        is_known = statement.prepare in kept
        try:
            rows = self.ask(before + ("" if is_known else statement.prepare) + statement.execute)
        except self.errors:
            self._kept_forms = None  # whatever was wrong, it is not tried again
            raise
        kept.add(statement.prepare)
        return rows

    # What claims.

    @contextmanager
    def brief_transaction(self) -> Iterator[Callable[[str], list[tuple[object, ...]]]]:
        """Open a transaction of ours, and yield what sends a statement in it; commit it at the end of the block.

        It begins with the message of the first statement, which also clears what a job has left. After an error
        the connection is of no more use.
        """
        assert self._clearing is not None
        left = self._clearing.entering if self._is_used else LOCKS if self._may_hold_locks else ""
        # Its level is that of the engine's transactions, whatever the server's default is.
        begin = new_transaction("READ COMMITTED", None, None) + limit_idleness()
        opening = [f"BEGIN; {left}{begin}" if left else begin.removeprefix("COMMIT; ")]

        def send(statement: str) -> list[tuple[object, ...]]:
            text = "".join([*opening, statement])
            opening.clear()
            return self.ask(text)

        with self.without_transaction():
            yield send
            if opening:
                return
            self.ask("COMMIT")
        if self._is_used and self._kept_forms:
            self._kept_forms.clear()
        self._may_hold_locks = self._is_used = False
        self._passed, self.rests_since = self._boundary.passed, time.monotonic()

    # What jobs that share a transaction need.

    def begin_sharing(self) -> None:
        """See `Shared`."""
        super().begin_sharing()
        self._was_used_by_job = self._is_neighbours = False

    def next_job_begins(self) -> None:
        """Let the next job's first statement put back what the ones before have left in the session."""
        self._is_neighbours = self._is_neighbours or self._was_used_by_job
        self._was_used_by_job = False

    def end_sharing(self) -> None:
        """See `Shared`; the end of the transaction puts the session back in any case."""
        super().end_sharing()
        self._is_neighbours = False

    # What the driver's commit and rollback call.

    def has_committed(self) -> None:
        """Record that the transaction was committed."""
        if self._has_left:
            self._is_used = self._has_left = False
        self.rests_since = time.monotonic()

    def will_roll_back(self) -> None:
        """Record that what the transaction has put back will be undone."""
        self.note_rollback()
        self._has_left = self._is_leaving = False

    # What all drivers have.

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed."""
        return bool(self._driver.closed)

    @property
    def process(self) -> int:
        """The number of the server's process, as it was said when the connection was made."""
        return self._driver.info.backend_pid

    @property
    def user(self) -> str:
        """The user of the connection."""
        return self._driver.info.user

    @property
    def descriptor(self) -> int:
        """The descriptor of the socket."""
        return self._driver.fileno()

    @property
    def _driver(self) -> _Driver:
        return cast("_Driver", self)

    # What each driver does in its own way.

    @abstractmethod
    def ask(self, statement: str, parameters: tuple[object, ...] | None = None) -> list[tuple[object, ...]]:
        """Return the rows of the last of some statements, sent by a cursor that is not watched."""

    @abstractmethod
    def reported(self, name: str) -> str | None:
        """Return a setting that the server reports unasked; None: it does not."""

    @abstractmethod
    def quoted(self, text: str) -> str:
        """Return a text as a literal of SQL."""

    @abstractmethod
    def without_transaction(self) -> AbstractContextManager[None]:
        """Return a context manager in which no transaction is begun."""

    @abstractmethod
    def is_idle(self) -> bool:
        """Return whether the server is in no transaction, whatever the driver believes."""

    @abstractmethod
    def is_between_transactions(self) -> bool:
        """Return whether nothing was sent in the current transaction."""

    @abstractmethod
    def new_transaction(self) -> str:
        """Return what ends the transaction that the driver has begun, and begins it again; empty without one.

        The clearing is committed for itself, so that no rollback undoes it, and the transaction begins under
        the settings to which it put back.
        """
