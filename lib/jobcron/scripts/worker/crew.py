"""The processes of one run of a section that has ``max_workers``: one lock, one signal for all, counts added up.

Each claims batches of its own, and leaves when nothing is ready. A process that is killed is replaced: the new one
takes over its job at once.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import signal
import tempfile
from collections import Counter
from collections.abc import Callable

from jobcron.jobs.lease import Tenure
from jobcron.reports.logs import NO_OOPS
from jobcron.runner.signals import StopSignals, readable_signals
from jobcron.scripts._section_run import Part, RunResult
from jobcron.scripts.locks.lock import RunLock
from jobcron.scripts.order import Order
from jobcron.scripts.worker._child import status_of
from jobcron.scripts.worker._line import ORDERLY, Line
from jobcron.scripts.worker._processes import Processes

MAX_BYTES = 1 << 12


class Crew:
    """Forks the processes of a run, and waits until all have ended.

    Args:
        order: the run.
        part: what each process does.
        lock: the section's, held.
        program: the script's name, for reports.
    """

    def __init__(self, order: Order, part: Part, lock: RunLock, program: str) -> None:
        self._order = order
        self._part = part
        self._program = program
        self._results = _Results()
        self._processes = Processes(lambda name: lock, self._serve, order.logger, held=lock)
        self._signals = StopSignals()
        self._status = 0

    def run(self, count: int) -> RunResult | None:
        """Run so many processes, and return what they have done together; None: no process could be started."""
        name = self._order.section.name
        signals = readable_signals(self._signals.handlers())
        with selectors.DefaultSelector() as selector, signals as wakeup:
            selector.register(wakeup, selectors.EVENT_READ)
            replacements = count
            for _ in range(count):
                if not self._signals.received:
                    self._processes.start(name)
            if not self._processes.all and not self._signals.received:
                return None
            while self._processes.all:
                if selector.select(self._signals.timeout(None)):
                    os.read(wakeup, MAX_BYTES)
                self._hand_on_signals()
                replacements -= self._replace_the_lost(replacements)
        if signal.SIGINT in self._signals.received:
            self._order.logger.error("Stopped from the keyboard", extra=NO_OOPS)
            self._status = max(self._status, 1)
        return self._results.added_up(was_stopped=bool(self._signals.received), status=self._status)

    def _replace_the_lost(self, most: int) -> int:
        """Reap the processes that have ended; replace those that were killed, and return how many that were."""
        replaced = 0
        for ended in self._processes.reap():
            ended.process.close()
            if not ended.is_lost:
                self._status = max(self._status, ended.status)
            elif not self._signals.received:
                self._order.logger.warning("%s", ended, extra=NO_OOPS)
                if replaced < most and self._processes.start(ended.process.section) is not None:
                    replaced += 1
                else:
                    self._status = max(self._status, 1)
        return replaced

    def _serve(self, section: str, tenure: Tenure | None, line: Line) -> int:
        """Be one of the processes; return its exit status."""
        random.seed()  # each of the forked processes would draw the same numbers
        order = self._order._replace(tenure=tenure)
        return ORDERLY + status_of(order, self._program, lambda: self._part(order, self._results.add))

    def _hand_on_signals(self) -> None:
        """Pass each signal on as SIGTERM: a process ends its job within the grace, and leaves."""
        if self._signals.next() is not None:
            for process in self._processes.all.values():
                process.send_signal(signal.SIGTERM)


class _Results:
    """What the processes have done: a file that they share, with a line of each."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("a+b", buffering=0)  # noqa: SIM115 (as long as the run)

    def add(self, result: RunResult) -> None:
        """Add what a process has done; called in it, once."""
        line = json.dumps([result.completed, result.incomplete, result.oopses, result.waited, result.ran])
        self._file.write(line.encode() + b"\n")  # one write to the end of the file: lines do not mix

    def added_up(self, *, was_stopped: bool, status: int) -> RunResult:
        """Return what all of them have done."""
        completed, incomplete, oopses, waited, ran = Counter[str](), Counter[str](), 0, 0.0, 0.0
        self._file.seek(0)
        for line in self._file.read().splitlines():
            of_one, not_of_one, reports, waited_of_one, ran_of_one = json.loads(line)
            completed.update(of_one)
            incomplete.update(not_of_one)
            oopses, waited, ran = oopses + reports, waited + waited_of_one, ran + ran_of_one
        self._file.close()
        return RunResult(completed, incomplete, oopses, was_stopped, waited, ran, status)


def crew_for(lock: RunLock, program: str) -> Callable[[Order, Part, int], RunResult | None]:
    """Return what runs a section in several processes.

    Args:
        lock: the section's, held.
        program: the script's name, for reports.
    """

    def run(order: Order, part: Part, count: int) -> RunResult | None:
        return Crew(order, part, lock, program).run(count)

    return run
