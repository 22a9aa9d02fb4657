"""All child processes of a run: starting them, waiting for what they say, ending them."""

from __future__ import annotations

import logging
import os
import select
import signal
from collections.abc import Callable, Iterator

from jobcron.errors import ProcessNotStarted
from jobcron.runner.isolated._child import Watched
from jobcron.runner.isolated._messages import Message
from jobcron.runner.isolated._slot import Slot


class Slots:
    """The child processes that live.

    Args:
        order: returns what a new child is to work for.
        logger: of the script.
    """

    def __init__(self, order: Callable[[], Message], logger: logging.Logger) -> None:
        self._order = order
        self._logger = logger
        self._slots: list[Slot] = []

    def __iter__(self) -> Iterator[Slot]:
        """Iterate over those that live now, whatever becomes of them meanwhile."""
        return iter(list(self._slots))

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def busy(self) -> int:
        """How many have a job."""
        return sum(1 for slot in self._slots if slot.attempt)

    def free(self) -> Slot:
        """Return a child that can be given a job, a new one if need be.

        Raises:
            ProcessNotStarted: the machine has no room for a process.
            ConfigurationError: no other process can find the source.
        """
        for slot in self._slots:
            if slot.is_free:
                return slot
        order = self._order()
        try:
            slot = Slot(order, self._logger)
        except OSError as error:
            raise ProcessNotStarted(f"a process for isolated jobs could not be started: {error}") from error
        self._slots.append(slot)
        return slot

    def let_go(self) -> None:
        """Tell those that have no job to leave: a child that is kept for nothing is told so."""
        for slot in self._slots:
            if slot.is_free:
                slot.let_go()

    def wait(self, wakeup: int, seconds: float) -> None:
        """Wait until a child says something, a signal comes, or the time is over.

        Args:
            wakeup: becomes readable by a signal.
            seconds: how long at most.
        """
        watched: list[Watched] = [wakeup]
        for slot in self._slots:
            watched += slot.watched
        readable, _, _ = select.select(watched, [], [], seconds)
        if wakeup in readable:
            os.read(wakeup, 1000)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each."""
        for slot in self._slots:
            slot.signal(number)

    def end(self, slot: Slot) -> None:
        """Kill one, and all that it has started."""
        slot.end()
        self._slots.remove(slot)

    def end_all(self) -> None:
        """Kill those that are left."""
        for slot in self._slots:
            slot.end()
