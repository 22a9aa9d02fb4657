"""The supervisor of a worker: looks for work, and has as many processes run it as its terms allow."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from jobcron.errors import ConfigurationError, DirectoryError
from jobcron.reports.logs import NO_OOPS
from jobcron.runner.signals import StopSignals, readable_signals
from jobcron.scripts.worker._ear import LEAST_LEFT, Ear, News
from jobcron.scripts.worker._failures import Failures
from jobcron.scripts.worker._line import BEGUN, FRUITLESS, LOOK, Process
from jobcron.scripts.worker._lookout import Lookout
from jobcron.scripts.worker._presence import Presence
from jobcron.scripts.worker._processes import Ended, Processes
from jobcron.scripts.worker._systemd import Notifier
from jobcron.scripts.worker._terms import Terms
from jobcron.settings.settings import Section

NEVER = float("inf")

RAMP_SECONDS = 0.02
"""How soon it looks again after a process found work: whether there is work for one more."""

SLICE_SECONDS = 5.0
"""How long a process keeps its place while another section has none."""

MAX_LINE = 1 << 12


class Supervisor:
    """Runs sections as they have work.

    Args:
        sections: returns the sections that may run now.
        most: how many processes may run each section at once, by its name.
        terms: the worker's.
        lookout: knows which sections have work.
        processes: starts processes.
        ear: hears that jobs were committed.
        presence: tells others that the worker is there.
        notifier: tells whoever has started the worker.
        logger: the worker's log.
    """

    def __init__(
        self,
        sections: Callable[[], Iterable[Section]],
        most: Mapping[str, int],
        terms: Terms,
        lookout: Lookout,
        processes: Processes,
        ear: Ear,
        presence: Presence,
        notifier: Notifier,
        logger: logging.Logger,
    ) -> None:
        self._sections = sections
        self._most = most
        self._terms = terms
        self._lookout = lookout
        self._processes = processes
        self._ear = ear
        self._presence = presence
        self._logger = logger
        self._failures = Failures(terms.give_up, is_waited_for=terms.until_empty)
        self._gave_up = False
        self._notifier = notifier
        self._served: dict[str, float] = {}
        self._signals = StopSignals()
        self._is_over = False
        self._has_left = False
        lookout.patience = ear.patience = self._has_patience
        self._look_at = 0.0
        self._glance_at, self._is_crowded = NEVER, False
        self._news = News()
        self._ends_at = NEVER if terms.max_runtime is None else time.monotonic() + terms.max_runtime

    def run(self) -> int:
        """Work until a signal or the terms end it, and return the exit status.

        The first signal is passed on to the processes as SIGTERM: each ends its job, within the grace, and leaves.
        """
        signals = readable_signals(self._signals.handlers())
        with selectors.DefaultSelector() as selector, signals as wakeup:
            selector.register(wakeup, selectors.EVENT_READ)
            if self._notifier.tether is not None:
                selector.register(self._notifier.tether, selectors.EVENT_READ, self._notifier)
            self._notifier.ready()
            while True:
                self._ear.open(selector)
                self._reap(selector)
                self._end_if_due()
                self._notifier.failing(is_failing=self._failures.are_all)
                if not self._is_over and time.monotonic() >= min(self._look_at, self._glance_at):
                    self._look(selector)
                # After the look, which may end it when the last process is gone: nobody would wake it any more.
                if self._is_over and not self._processes.all:
                    break
                self._presence.sign_if_due(len(self._processes.all), is_leaving=self._is_over)
                self._wait(selector, wakeup)
                self._notifier.alive()
        self._has_left = True
        self._presence.leave()
        failed = self._gave_up or (self._terms.until_empty and self._failures.are_any())
        return 1 if failed else 0

    def _look(self, selector: selectors.BaseSelector) -> None:
        """Find out which sections have work, and serve them; the one served longest ago comes first.

        Between two looks that are due it only glances: at the sections for which something can be done now.
        """
        is_due, self._glance_at = time.monotonic() >= self._look_at, NEVER
        enabled = {section.name: section for section in self._sections()}
        sections = {name: section for name, section in enabled.items() if self._failures.may_start(name)}
        asked = [section for section in sections.values() if is_due or self._has_room(section)]
        told = self._news.for_look(asks_all=len(asked) == len(sections))
        if not asked and not is_due:
            return  # a process will say that it has time again
        self._ear.attend(selector)
        if told.is_first and not is_due and self._has_guessed(asked):
            return
        is_patient = self._ear.is_shared and not (is_due or told.is_first or self._terms.until_empty)
        has_just_heard = self._ear.has_just_heard  # before the question: its answer may take a while
        found = self._lookout.with_work(asked, patience=LEAST_LEFT if is_patient else 0.0)
        if self._signals.is_any_left:
            return  # perhaps it was not waited for the answer
        if told.has_heard and not found:
            self._ear.came_too_late()
        if is_patient and has_just_heard:
            self._heard_in(self._ear.pause())
        self._is_crowded = False
        for name in sorted(found, key=lambda name: self._served.get(name, 0.0)):
            self._serve(sections[name], selector)
        if is_due:
            self._look_at = time.monotonic() + self._terms.poll_seconds()
        if self._terms.until_empty and not found and len(asked) == len(sections):
            self._end_if_empty(enabled.keys() - sections.keys())

    def _has_guessed(self, asked: list[Section]) -> bool:
        """Let a process look at once, without a question, if one section only may have the job."""
        process = self._processes.waiting(asked[0].name) if len(asked) == 1 else None
        if process is not None:
            process.look(LOOK, is_guess=True)
        return process is not None

    def _end_if_empty(self, paused: Collection[str]) -> None:
        """End if no process is at work, and no section is to be tried again; look again when one may be."""
        if all(process.is_idle for process in self._processes.all.values()):
            again = self._failures.tried_again_at(paused)
            if again is None:
                self._end()
            else:  # its jobs may be ready
                self._look_at = min(self._look_at, again)

    def _has_room(self, section: Section) -> bool:
        return self._processes.has_room(section.name, self._most[section.name])

    def _glance_in(self, seconds: float) -> None:
        self._glance_at = min(self._glance_at, time.monotonic() + seconds)

    def _heard_in(self, pause: float) -> None:
        """Look for jobs that were told of after a pause; infinite: none were."""
        if pause < NEVER:
            self._news.hear(is_first=not pause)
            self._glance_in(pause)

    def _serve(self, section: Section, selector: selectors.BaseSelector) -> None:
        """Put one more process to a section's work, if there is room for one."""
        if not self._has_room(section):
            self._news.miss()
            return
        process = self._processes.waiting(section.name)
        if process is not None:
            process.look(self._lookout.word_for(section.name))
        elif len(self._processes.all) >= self._terms.processes:
            self._is_crowded = True
            self._lookout.was_left(section.name)
            if (leaving := self._processes.to_leave(section.name, SLICE_SECONDS)) is not None:
                leaving.leave()
            return
        else:
            try:
                process = self._processes.start(section.name)
            except DirectoryError:
                self._failures.note(section.name, is_killed=False, is_mistake=True)
                return
            if process is None:
                return  # another program runs the section
            selector.register(process, selectors.EVENT_READ, process)
        self._served[section.name] = time.monotonic()

    def _wait(self, selector: selectors.BaseSelector, wakeup: int) -> None:
        """Wait until a process says something or has ended, a signal arrives, or the next look is due."""
        due = max(0.0, min(self._look_at, self._glance_at, self._ends_at) - time.monotonic())
        until = self._presence.seconds_left() if self._is_over else min(due, self._ear.rest_left)
        sign = self._notifier.interval  # systemd kills who is silent for longer, however rare the looks are
        timeout = until if sign is None else min(until, sign)
        for key, _ in selector.select(self._signals.timeout(timeout)):
            if key.fd == wakeup:
                os.read(wakeup, MAX_LINE)
            elif isinstance(key.data, Process):
                self._hear(key.data, selector)
            elif key.data is self._notifier:
                selector.unregister(key.fd)  # nothing is ever said to us, so it has ended
                self._logger.warning("The process that started this worker has ended: it leaves.", extra=NO_OOPS)
                self._end()
            else:
                self._heard_in(self._ear.hear(selector))

    def _hear(self, process: Process, selector: selectors.BaseSelector) -> None:
        words = process.heard()
        if not words:
            selector.unregister(process)  # it has closed its end: it is about to be reaped
            return
        if process.is_idle:
            self._failures.forget(process.section)
            self._ear.attend(selector)
        elif BEGUN in words:
            self._failures.began_job(process.section)
        if BEGUN in words:
            self._ear.came_in_time(is_ours=process.is_guess)
        is_fruitless = words[-1:] == FRUITLESS
        if is_fruitless:
            self._ear.came_too_late()
        if process.is_idle and (told := self._news.process_has_time()):
            self._glance_in(0.0 if told.is_first else self._ear.pause())
        elif is_fruitless and process.is_guess:
            self._glance_in(0.0)  # what was told may be of another kind, so now ask
        elif not is_fruitless and self._may_be_more(process):
            self._glance_in(RAMP_SECONDS)

    def _may_be_more(self, process: Process) -> bool:
        """Return whether there may be work for one more process, or for this one, of which nobody will tell."""
        if process.is_idle:
            return not self._ear.is_open or self._is_crowded or self._terms.until_empty
        return any(map(self._has_room, self._sections()))

    def _reap(self, selector: selectors.BaseSelector) -> None:
        for ended in self._processes.reap():
            if ended.process in selector.get_map():
                selector.unregister(ended.process)
                if BEGUN in ended.process.heard():
                    self._failures.began_job(ended.process.section)
            ended.process.close()
            self._tell(ended)
            # Its place is free, and perhaps it left something.
            self._glance_in(0.0)

    def _tell(self, ended: Ended) -> None:
        """Note how a process ended: one that failed is not started again at once."""
        process, status, is_lost = ended
        if (status == 0 and not is_lost) or (self._is_over and status == -signal.SIGTERM):
            self._failures.forget(process.section)
            return
        is_mistake = status == ConfigurationError.exit_status and not is_lost
        delay = self._failures.note(process.section, is_killed=is_lost, is_mistake=is_mistake)
        if is_lost:
            self._logger.warning("%s", ended, extra=NO_OOPS)
        self._logger.debug("%s: status %d, started again in %g s", process.section, status, delay)

    def _end_if_due(self) -> None:
        if self._signals.next() is not None:
            for process in self._processes.all.values():
                process.send_signal(signal.SIGTERM)
            self._end()
        elif time.monotonic() >= self._ends_at and not self._is_over:
            self._logger.info("The worker has worked for %g s, as --max-runtime says.", self._terms.max_runtime)
            self._end()
        elif self._is_over:
            return
        elif self._are_failing():
            self._gave_up = True
            self._logger.error(
                "All sections have failed for %g s: the worker leaves.", self._terms.give_up, extra=NO_OOPS
            )
            self._end()

    def _has_patience(self) -> bool:
        """Return whether to wait on for the database; called again and again while it does not answer."""
        self._notifier.alive()
        return self._has_left or not self._signals.is_any_left

    def _are_failing(self) -> bool:
        """Return whether all sections have been failing for too long."""
        is_any_at_work = any(process.is_at_work for process in self._processes.all.values())
        names = [section.name for section in self._sections()] if self._failures.are_any() else []
        return self._failures.are_too_many(names, is_any_at_work=is_any_at_work)

    def _end(self) -> None:
        """Start nothing more, and tell all processes to leave."""
        self._is_over = True
        self._notifier.stopping()
        for process in self._processes.all.values():
            process.leave()
