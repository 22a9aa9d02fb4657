"""All child processes of a run: start them, wait for their messages, end them."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator

from jobcron.errors import ProcessNotStarted
from jobcron.runner.isolated._child import Watched
from jobcron.runner.isolated._messages import Message
from jobcron.runner.isolated._slot import Slot
from jobcron.runner.surroundings import real


class Slots:
    """The live child processes.

    Args:
        order: returns the order for a new child.
        logger: the script's logger.
        lock: see `Child`.
    """

    def __init__(self, order: Callable[[], Message], logger: logging.Logger, lock: int | None) -> None:
        self._lock = lock
        self._order = order
        self._logger = logger
        self._slots: list[Slot] = []

    def __iter__(self) -> Iterator[Slot]:
        """Iterate over the children alive now, even if the set changes meanwhile."""
        return iter(list(self._slots))

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def busy(self) -> int:
        """The number of children with a job."""
        return sum(1 for slot in self._slots if slot.attempt)

    def free(self) -> Slot:
        """Return a child that can take a job; start one if necessary.

        Raises:
            ProcessNotStarted: the machine has no room for a process.
            ConfigurationError: no other process can find the source.
        """
        for slot in self._slots:
            if slot.is_free:
                return slot
        order = self._order()
        try:
            slot = Slot(order, self._logger, self._lock)
        except OSError as error:
            raise ProcessNotStarted(f"a process for isolated jobs could not be started: {error}") from error
        self._slots.append(slot)
        return slot

    def let_go(self) -> None:
        """Tell the children without a job to exit: none is kept idle."""
        for slot in self._slots:
            if slot.is_free:
                slot.let_go()

    def wait(self, wakeup: int, seconds: float) -> None:
        """Wait for a message from a child, a signal, or the timeout.

        Args:
            wakeup: a descriptor that a signal makes readable.
            seconds: the timeout.
        """
        watched: list[Watched] = [wakeup]
        for slot in self._slots:
            watched += slot.watched
        readable, _, _ = real.select(watched, [], [], seconds)
        if wakeup in readable:
            real.read(wakeup, 1000)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each child."""
        for slot in self._slots:
            slot.signal(number)

    def end(self, slot: Slot) -> None:
        """Kill one child, and all processes that it has started."""
        slot.end()
        self._slots.remove(slot)

    def end_all(self) -> None:
        """Kill the remaining children."""
        for slot in self._slots:
            slot.end()
