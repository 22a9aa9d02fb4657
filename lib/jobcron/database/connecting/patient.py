"""Connections to PostgreSQL that wait for the server no longer than their user wants, who is asked all the while.

A driver that waits by itself calls no signal handler, or does not care for what it did, and waits without limit
for a server that has taken a statement and says nothing: one that hangs, or a pooler whose server is away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping

# Taken before the application is imported, which may replace the module's functions: see `surroundings.real`.
from select import POLLIN, POLLOUT, poll
from typing import TYPE_CHECKING, TypeVar

from jobcron.database.connecting.plain import Plain, errors_of

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow
    from psycopg.waiting import Ready, Wait
    from psycopg2.extensions import connection as Psycopg2

    Result = TypeVar("Result")

Patience = Callable[[], bool]
"""Is called at least twice a second while a connection waits, and returns whether it is to go on."""

CONNECT_SECONDS = 10.0
"""How long it waits for a connection if the URL does not say so."""

ASK_SECONDS = 0.4


class Patient(Plain):
    """A plain connection that asks for its user's patience while it waits.

    psycopg waits by itself until it is connected, but heeds `connect_timeout` for each address.

    Args:
        url: the database's URL.
        user: the database role; None: the URL's.
        patience: see `Patience`.

    Raises:
        Exception: one of `errors_of`: no server of the URL can be reached, or the user did not wait for it.
    """

    def __init__(self, url: str, user: str | None, patience: Patience) -> None:
        self._patience = patience
        self._errors = errors_of(url)
        self._limit(CONNECT_SECONDS)
        try:
            super().__init__(url, user)
        except _Late as late:
            raise self._errors(str(late)) from None

    def ask(
        self, text: str, parameters: Mapping[str, object] | None = None, seconds: float | None = None
    ) -> tuple[object, ...] | None:
        """Do the same as `Plain.ask`; a connection on which nobody waits any more for the answer is closed.

        Raises:
            Exception: one of `errors_of`: a statement has failed, or the server has not answered.
        """
        self._limit(CONNECT_SECONDS if seconds is None else seconds)
        try:
            return super().ask(text, parameters)
        except _Late as late:
            self.close()
            raise self._errors(str(late)) from None

    def _limit(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def _wait_for(self, descriptor: int, events: int) -> int:
        """Wait for events of a socket, as `poll` calls them; return those that have come."""
        waiting = poll()
        waiting.register(descriptor, events)
        while True:
            left = self._until - time.monotonic()
            if left <= 0:
                raise _Late(f"the server has not answered for {self._seconds:g} s")
            if not self._patience():
                raise _Late("nobody waits any more")
            if found := waiting.poll(min(left, ASK_SECONDS) * 1000):
                return found[0][1]

    def _open_psycopg2(self, arguments: dict[str, str | int | None]) -> Psycopg2:
        import psycopg2
        from psycopg2.extensions import make_dsn

        error: Exception | None = None
        for server in _servers(arguments):
            # The library leaves this limit to those who do not let it wait.
            limit = str(server.get("connect_timeout"))
            self._limit(float(limit) if limit.isdigit() and int(limit) else CONNECT_SECONDS)
            try:
                opened = psycopg2.connect(make_dsn(**server), async_=True)  # type: ignore[arg-type]
                self._await(opened)
            except (psycopg2.OperationalError, _Late) as failed:
                error = failed
            else:
                return opened
        raise self._errors(str(error)) from error

    def _await(self, opened: Psycopg2) -> None:
        from psycopg2.extensions import POLL_OK, POLL_READ

        while (state := opened.poll()) != POLL_OK:
            self._wait_for(opened.fileno(), POLLIN if state == POLL_READ else POLLOUT)

    def _psycopg_class(self) -> type[psycopg.Connection[TupleRow]]:
        from psycopg import Connection
        from psycopg.rows import TupleRow
        from psycopg.waiting import Ready, Wait

        patient = self

        class Waiting(Connection[TupleRow]):
            def wait(
                self, gen: Generator[Wait, Ready | int, Result], interval: float = 0, timeout: float | None = None
            ) -> Result:
                try:
                    wanted = next(gen)
                    while True:
                        events = (POLLIN if wanted & Wait.R else 0) | (POLLOUT if wanted & Wait.W else 0)
                        found = patient._wait_for(self.pgconn.socket, events)
                        # What is wrong with the socket is told by who reads it, or writes.
                        is_wrong = not found & (POLLIN | POLLOUT)
                        reads = Ready.R if found & POLLIN or (is_wrong and wanted & Wait.R) else 0
                        writes = Ready.W if found & POLLOUT or (is_wrong and wanted & Wait.W) else 0
                        wanted = gen.send(Ready(reads | writes))
                except StopIteration as end:
                    result: Result = end.value
                    return result

        return Waiting


class _Late(Exception):
    """The server has not answered in time."""


def _servers(arguments: dict[str, str | int | None]) -> Iterator[dict[str, str | int | None]]:
    """Yield the arguments for each of the servers that a URL names: a silent one must not hide the others."""
    lists = {key: str(arguments[key]).split(",") for key in ("host", "hostaddr", "port") if key in arguments}
    count = max(map(len, lists.values()), default=1)
    if any(len(values) not in (1, count) for values in lists.values()):
        yield arguments  # the library says what is wrong
        return
    for number in range(count):
        own: dict[str, str | int | None] = {key: values[number % len(values)] for key, values in lists.items()}
        yield {**arguments, **own}
