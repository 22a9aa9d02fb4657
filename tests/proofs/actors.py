"""Actors that take turns, statement by statement, each on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from jobcron import Database
from jobcron.database.trouble import Interruption, interruption_of

Step = Callable[["Actor"], None]

WAIT_SECONDS = 20.0


class Actor:
    """Somebody who does one step, which is one statement, whenever it is told to.

    Args:
        database: where; on SQLite one that does not wait for locks.
        steps: what to do, in this order.

    Attributes:
        connection: its own.
        known: what it learned on the way.
    """

    def __init__(self, database: Database, steps: Sequence[Step]) -> None:
        self.connection: Connection = database.engine.connect()
        self.known: dict[str, Any] = {}
        self.steps = list(steps)
        self.done = 0
        self.error: BaseException | None = None
        self._orders: SimpleQueue[Step | None] = SimpleQueue()
        self._is_idle = threading.Event()
        self._is_idle.set()
        self.pid = 0
        if database.dialect == "postgresql":
            self.pid = self.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            self.connection.rollback()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether its last step is over: it does not wait for anybody's lock."""
        return self._is_idle.is_set()

    @property
    def has_more(self) -> bool:
        """Whether there are steps left."""
        return self.done < len(self.steps)

    def begin_step(self) -> None:
        """Begin the next step; it may have to wait for another actor's lock."""
        self._is_idle.clear()
        self._orders.put(self.steps[self.done])

    def wait(self, seconds: float) -> bool:
        """Wait so long for the end of the step; tell whether it ended."""
        return self._is_idle.wait(seconds)

    def _work(self) -> None:
        while (step := self._orders.get()) is not None:
            try:
                step(self)
                self.done += 1
            except DBAPIError as error:
                if interruption_of(error) is not Interruption.BUSY:
                    self.error, self.done = error, len(self.steps)
                # else the step is tried again at its next turn: SQLite's way to wait for a lock
            except BaseException as error:
                self.error, self.done = error, len(self.steps)
            self._is_idle.set()

    def close(self) -> None:
        """End the thread, and the transaction with it."""
        self._orders.put(None)
        self._thread.join(WAIT_SECONDS)
        with suppress(DBAPIError):
            self.connection.rollback()
        self.connection.close()


def interleavings(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Iterate over every order in which so many actors can take so many turns each."""
    if not any(lengths):
        yield []
        return
    for actor, length in enumerate(lengths):
        if length:
            rest = [n - (number == actor) for number, n in enumerate(lengths)]
            for tail in interleavings(rest):
                yield [actor, *tail]


def play(actors: Sequence[Actor], order: Sequence[int], is_blocked: Callable[[Actor], bool]) -> None:
    """Let the actors take turns in this order; who waits for a lock at its turn takes it when it can go on.

    Raises:
        AssertionError: an actor failed, or they wait for each other.
    """
    turns = list(order)
    stuck = 0
    while turns:
        number = next((n for n in turns if actors[n].is_idle), None)
        if number is None:  # all that have turns left wait: for one whose step is not over yet
            assert any(actors[n].wait(WAIT_SECONDS) for n in set(turns)), "the actors wait for each other"
            continue
        turns.remove(number)
        actor = actors[number]
        if not actor.has_more:
            continue
        before = actor.done
        actor.begin_step()
        while not actor.wait(0.001):
            if is_blocked(actor):
                break
        if actor.is_idle and actor.done == before:  # busy: again, after the others
            turns.append(number)
            stuck += 1
            assert stuck < 1000, "the actors wait for each other"
    for actor in actors:
        assert actor.wait(WAIT_SECONDS), "an actor waits for ever"
        if actor.error is not None:
            raise AssertionError(f"an actor failed: {actor.error}") from actor.error
