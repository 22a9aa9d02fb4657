"""The cheap check for work: one statement for each section, over a plain driver connection.

This is the whole cost of a cron script when nothing is ready, which is nearly always: no ORM, no zope, no
application. It also writes the row of a run that found nothing, once in each ``activity_interval``. Anything
unusual, such as a missing table or a database that does not answer, counts as "yes": the full path meets it again
and reports the cause.
"""

from __future__ import annotations

import os
import time

from jobcron.database.sql import lines, statement
from jobcron.errors import ConfigurationError
from jobcron.settings.database_url import POSTGRESQL, backend_of, sqlite_path

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobcron.database.connecting.asking import Asking, Connect

    Row = tuple[object, ...]
    MayNote = Callable[[str], bool]
    Ask = Callable[[str, "Question"], Sequence[object]]

ANSWER_SECONDS = 10
"""Seconds to wait for a lock, such as a migration's; as long as for a connection."""

TELL_SECONDS = 1.0
"""Seconds that a statement which only tells something may take: it is left out rather than waited for."""

NOTE_MILLISECONDS = 500
"""How long a row of a run waits for SQLite's lock, which a job may have for long; the next tick tries again."""

AGAIN_SECONDS = 60.0
"""How long no connection is opened only to tell something, after one was lost or refused."""

Question = dict[str, object]
"""The parameters of the statements, for one section."""

READY, LIMITED = "ready", "limited"
"""There are ready jobs, and nothing else is to be done; with `LIMITED`, some are in channels."""

Gone = tuple[str, ...]
"""Names of runs of one section that are over: what they left is work."""
NO_CHANNELS: dict[str, str | None] = {}


class Unanswered(Exception):
    """The database has not answered, or has refused a statement."""


def with_work(
    url: str,
    user: str | None,
    types: dict[str, str],
    interval: float,
    gone: dict[str, Gone],
    channels: dict[str, str | None] = NO_CHANNELS,
    may_note: MayNote | None = None,
) -> set[str]:
    """Return the names of the runs that need the full path; ask for all of them over one connection.

    Args:
        url: the database's URL.
        user: the runs' database role, or None.
        types: the names of the jobs' types, by the name of the run.
        interval: the ``activity_interval``, in seconds.
        gone: the names of runs that are over, by the name of the run.
        channels: the channels of the sections, by the name of the run.
        may_note: see `Tick`.
    """
    tick = Tick(url, user, interval, may_note=may_note)
    try:
        return tick.with_work(types, gone, channels)
    finally:
        tick.close()


class Tick:
    """Asks again and again, over one connection, which runs need the full path.

    Args:
        url: the database's URL.
        user: the runs' database role, or None.
        interval: the ``activity_interval``, in seconds.
        connect: connects to PostgreSQL, given the URL and the role; None: by a driver that waits by itself.
        may_note: returns, given the name of a run for which there is nothing but its row to write, whether to
            write that here; None: such a run takes the full path.

    Attributes:
        noted: the names of the runs whose rows were written.
        is_answered: whether the database has answered when it was last asked; else the full path says why not.
        kinds: what the runs were last found to have, by their names: `READY` or `LIMITED`; others need a new run.
    """

    def __init__(
        self,
        url: str,
        user: str | None,
        interval: float,
        connect: Connect | None = None,
        may_note: MayNote | None = None,
    ) -> None:
        self._url = url
        self._user = user
        self._interval = interval
        self._connect = connect
        self.may_note = may_note
        self.noted: list[str] = []
        self.is_answered = True
        self.kinds: dict[str, str] = {}
        self._asking: Asking | None = None
        self._tell_again_at = 0.0

    def with_work(
        self,
        types: dict[str, str],
        gone: dict[str, Gone],
        channels: dict[str, str | None] = NO_CHANNELS,
        patience: float = 0.0,
    ) -> set[str]:
        """Return the names of the runs that need the full path.

        Args:
            types: the names of the jobs' types, by the name of the run.
            gone: the names of runs that are over, by the name of the run.
            channels: the channels of the sections, by the name of the run.
            patience: how long jobs are to have been ready, in seconds.
        """
        questions: list[Question] = [
            {
                "type": type_name,
                "run_name": name,
                "minus_activity_interval": -self._interval,
                "minus_patience": -patience,
                "gone": lines(gone.get(name, ())),
                "section": name,
                "channel": channels.get(name) or "",
            }
            for name, type_name in types.items()
        ]
        self.kinds, answers = {}, None
        if path := sqlite_path(self._url):
            answers = self._ask_sqlite(path, questions)
        elif backend_of(self._url) == POSTGRESQL:
            answers = self._ask_postgresql(questions)
        self.is_answered = answers is not None
        if answers is None:
            self.kinds = {}
            return set(types)
        return {name for name, has_work in zip(types, answers, strict=True) if has_work}

    def tell(self, name: str, parameters: dict[str, object]) -> str | None:
        """Execute a short statement that writes; return an error, or None on success. See `fetch`."""
        if self._asking is None and time.monotonic() < self._tell_again_at:
            return "the database is away"
        try:  # on SQLite a job may have the lock for long
            self.fetch(name, parameters, 0.05 if sqlite_path(self._url) else TELL_SECONDS)
        except Unanswered as error:
            return str(error)
        return None

    def fetch(self, name: str, parameters: dict[str, object], seconds: float = ANSWER_SECONDS) -> Row | None:
        """Execute a statement, and return its first row, if it has one.

        Args:
            name: that of the statement, in `jobcron.database.sql`.
            parameters: its parameters.
            seconds: how long it may take.

        Raises:
            Unanswered: it could not be executed, or it is unknown whether it was.
        """
        if path := sqlite_path(self._url):
            return _fetch_sqlite(path, statement(name, "sqlite"), parameters, seconds)
        from jobcron.database.connecting.plain import errors_of

        try:
            errors = errors_of(self._url)
        except ConfigurationError as error:
            raise Unanswered(str(error)) from error
        try:
            return self._fetch_postgresql(name, parameters, seconds)
        except errors as error:
            if self._asking is None or self._asking.connection.is_closed:
                self._lose()
            raise Unanswered(str(error)) from error

    def descriptor(self) -> int | None:
        """Return the descriptor of the open connection; None if there is none."""
        return None if self._asking is None else self._asking.connection.fileno()

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        if self._asking is not None:
            self._asking.connection.close()
            self._asking = None

    def _ask_postgresql(self, questions: list[Question]) -> list[bool] | None:
        from jobcron.database.connecting.plain import errors_of

        def ask(name: str, question: Question) -> Sequence[object]:
            return self._fetch_postgresql(name, question, ANSWER_SECONDS) or ()

        try:
            errors = errors_of(self._url)
        except ConfigurationError:
            return None  # the full path tells it
        try:
            return [self._has_work(ask, question) for question in questions]
        except errors:
            self._lose()
            return None

    def _fetch_postgresql(self, name: str, parameters: Mapping[str, object], seconds: float) -> Row | None:
        """Return the first row of a statement, which is sent over the open connection, or a new one."""
        if self._asking is None:
            from jobcron.database.connecting.asking import Asking

            self._asking = Asking(self._url, self._user, self._connect)
        return self._asking.fetch(name, parameters, seconds)

    def _ask_sqlite(self, path: str, questions: list[Question]) -> list[bool] | None:
        import sqlite3

        if not os.path.exists(path):
            return None  # connecting would create the file
        try:
            opened = sqlite3.connect(path, timeout=5, isolation_level=None)
            is_locked = False
            try:

                def ask(name: str, question: Question) -> Sequence[object]:
                    nonlocal is_locked
                    try:
                        if name == "record_run":
                            wait = 0 if is_locked else NOTE_MILLISECONDS
                            opened.execute(f"PRAGMA busy_timeout = {wait}")
                        return opened.execute(statement(name, "sqlite"), question).fetchone() or ()
                    except sqlite3.OperationalError as error:
                        is_locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                        if name != "record_run" or not is_locked:
                            raise
                        return ()

                return [self._has_work(ask, question) for question in questions]
            finally:
                opened.close()
        except sqlite3.Error:
            return None

    def _has_work(self, ask: Ask, question: Question) -> bool:
        """Return whether a section needs the full path; ask about channels only if there are jobs in any."""
        known, due, waiting, left_over, limited, scheduled, paused = ask("tick", question)
        if known is None or left_over or scheduled or (due and (waiting or limited or paused)):
            return True
        is_limited = limited or (waiting and question["channel"])
        if is_limited:
            may_start, is_own_open = ask("tick_limited", {**question, "type": known})
            waiting = may_start or (waiting and is_own_open)
        if waiting:
            self.kinds[str(question["run_name"])] = LIMITED if is_limited else READY
        return bool(waiting or (due and not is_limited and not self._note(ask, question)))

    def _note(self, ask: Ask, question: Question) -> bool:
        """Write the row of a run that found nothing; return False if the run has to write it itself."""
        name = str(question["run_name"])
        if self.may_note is None or not self.may_note(name):
            return False
        none = dict.fromkeys(("completed", "incomplete", "oopses", "waited", "ran", "always", "minus_seconds"), 0)
        row = {**question, **none, "name": name, "hostname": os.uname().nodename}
        ask("record_run", row)
        self.noted.append(name)
        return True

    def _lose(self) -> None:
        self.close()
        self._tell_again_at = time.monotonic() + AGAIN_SECONDS


def _fetch_sqlite(path: str, text: str, parameters: dict[str, object], seconds: float) -> Row | None:
    import sqlite3

    if not os.path.exists(path):
        raise Unanswered("the database is away")
    try:
        opened = sqlite3.connect(path, timeout=seconds, isolation_level=None)
        try:
            rows: list[Row] = opened.execute(text, parameters).fetchall()  # all: it ends with the last one
        finally:
            opened.close()
    except sqlite3.Error as error:
        raise Unanswered(str(error)) from error
    return rows[0] if rows else None
