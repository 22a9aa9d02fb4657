"""A worker that serves several instances: it has one worker for each, in a process of its own, and watches them.

An instance whose configuration is wrong, whose database is away, or whose application hangs stops no other one.
"""

from __future__ import annotations

import argparse
import logging
import os
import selectors
import time

from jobcron.errors import ConfigurationError
from jobcron.reports.logs import NO_OOPS
from jobcron.runner.signals import StopSignals, readable_signals
from jobcron.scripts.instances import Patterns, check_names, command_for, read, tell_mistake
from jobcron.scripts.worker._failures import LONGEST_PAUSE, Failures
from jobcron.scripts.worker._one import One
from jobcron.scripts.worker._options import handed_on
from jobcron.scripts.worker._systemd import TETHER_SECONDS, Notifier
from jobcron.settings.instance import CONFIG_VARIABLE
from jobcron.settings.settings import Settings

MODULE = "jobcron.scripts.worker.script"

SCAN_SECONDS = 5.0
"""How often it looks for instances that are new or gone, and whether a wrong configuration was put right."""

WAIT_SECONDS = 1.0

MAX_READ = 1 << 12

OURS = (CONFIG_VARIABLE, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What the environment says to this process, and not to those that it starts."""


class Several:
    """Serves several instances.

    Args:
        patterns: of their configuration files.
        names: the sections or queues to run; none: all. An instance that has none of them is left out.
        options: the worker's.
        notifier: tells systemd.
        logger: the worker's log.
    """

    def __init__(
        self,
        patterns: Patterns,
        names: list[str],
        options: argparse.Namespace,
        notifier: Notifier,
        logger: logging.Logger,
    ) -> None:
        self._patterns = patterns
        self._names = names
        self._options = options
        self._notifier = notifier
        self._logger = logger
        self._is_once = options.until_empty or options.dry_run
        self._ends_at = None if options.max_runtime is None else time.monotonic() + options.max_runtime
        self._ones: dict[str, One] = {}
        self._failures = Failures(options.give_up)
        self._failing_since: float | None = None
        self._has_failed = False
        self._scan_at = 0.0
        self._is_over = False
        self._is_ready = False
        self._signals = StopSignals()
        self._stops = 0

    def run(self) -> int:
        """Serve them until a signal or an option ends it, and return the exit status.

        Raises:
            ConfigurationError: there is no instance, or none has a section of a name.
        """
        reads = [read(instance) for instance in self._patterns.find_some()]
        check_names(reads, self._names, _names_in, "a section or a queue")
        if not any(found.settings for found in reads):
            for found in reads:
                tell_mistake(found, self._logger)
            return ConfigurationError.exit_status
        signals = readable_signals(self._signals.handlers())
        with selectors.DefaultSelector() as selector, signals as wakeup:
            selector.register(wakeup, selectors.EVENT_READ)
            while self._goes_on(selector):
                self._tell_systemd()
                self._wait(selector, wakeup)
        return 1 if self._has_failed else 0

    def _goes_on(self, selector: selectors.BaseSelector) -> bool:
        """Do what is due; return whether there is anything to wait for."""
        self._reap(selector)
        self._end_if_due()
        if not self._is_over:
            self._scan()
            self._start(selector)
            self._watch()
        has_processes = any(one.process is not None for one in self._ones.values())
        return has_processes or not (self._is_over or (self._is_once and not any(map(_is_wanted, self._all()))))

    def _all(self) -> list[One]:
        return list(self._ones.values())

    def _scan(self) -> None:
        """Find instances that are new or gone."""
        if time.monotonic() < self._scan_at:
            return
        self._scan_at = time.monotonic() + SCAN_SECONDS
        found = {instance.path: instance for instance in self._patterns.find()}
        for path, one in list(self._ones.items()):
            if path not in found:
                if one.is_wanted:
                    self._logger.info("%s is not there any more.", one.instance.name, extra=NO_OOPS)
                one.stop()
                if one.process is None:
                    del self._ones[path]
        for path in found.keys() - self._ones.keys():
            self._ones[path] = One(found[path])

    def _start(self, selector: selectors.BaseSelector) -> None:
        """Start the workers of instances that have none now, and could have one."""
        for path, one in self._ones.items():
            is_due = time.monotonic() >= one.look_at and self._failures.may_start(path)
            if one.process is None and one.is_wanted and is_due:
                one.look_at = time.monotonic() + SCAN_SECONDS
                self._start_one(one)
                if one.process is not None:
                    selector.register(one, selectors.EVENT_READ, one)

    def _start_one(self, one: One) -> None:
        found = read(one.instance)
        if found.settings is None:
            if one.mistake != found.mistake:  # else it is known
                tell_mistake(found, self._logger)
                one.mistake = found.mistake
            self._cannot_start(one)
            return
        one.mistake = None
        arguments = self._arguments_for(found.settings)
        if arguments is None:
            one.is_settled, one.is_failing, one.is_wanted = True, False, not self._is_once
            return
        environment = {name: value for name, value in os.environ.items() if name not in OURS}
        try:
            one.start([*command_for(MODULE, one.instance, self._options), *arguments], environment)
        except OSError as error:
            text = "%s: no process can be started now: %s"
            self._logger.warning(text, one.instance.name, error, extra=NO_OOPS)
            self._cannot_start(one)

    def _cannot_start(self, one: One) -> None:
        one.is_settled = one.is_failing = True
        if self._is_once:
            one.is_wanted = False
            self._has_failed = True

    def _arguments_for(self, settings: Settings) -> list[str] | None:
        """Return the arguments for the worker of an instance; None: it has no section to run."""
        names = [name for name in self._names if name in _names_in(settings)]
        if not settings.sections or (self._names and not names):
            return None
        left = None if self._ends_at is None else max(0.1, self._ends_at - time.monotonic())
        return [*handed_on(self._options, left), *names]

    def _reap(self, selector: selectors.BaseSelector) -> None:
        for path, one in list(self._ones.items()):
            tether = one if one.process is None else one.fileno()
            status = one.ended()
            if status is None:
                continue
            if tether in selector.get_map():
                selector.unregister(tether)
            if self._is_once:
                one.is_wanted = False
                self._has_failed |= status != 0 and not self._is_over
            elif not one.is_wanted:
                del self._ones[path]
            elif not self._is_over:
                self._ended_early(path, one, status)

    def _ended_early(self, path: str, one: One, status: int) -> None:
        """Note that a worker has left that nobody has asked to; it is started again, later if that recurs."""
        if time.monotonic() - one.started > LONGEST_PAUSE:
            self._failures.forget(path)
        pause = self._failures.note(path, is_killed=status < 0)
        one.look_at, one.is_failing = 0.0, status != 0
        how = f"was killed by signal {-status}" if status < 0 else f"left with status {status}"
        text = "%s: its worker %s; another one is started in %g s."
        self._logger.warning(text, one.instance.name, how, pause, extra=NO_OOPS)

    def _watch(self) -> None:
        """Kill a worker that has fallen silent, if systemd would do that to this one."""
        interval = self._notifier.interval
        if interval is None:
            return
        limit = max(2 * interval, 3 * TETHER_SECONDS)
        for one in self._all():
            if one.is_ready and time.monotonic() - one.heard_at > limit:
                text = "%s: its worker has given no sign of life for %g s: it is killed."
                self._logger.error(text, one.instance.name, limit, extra=NO_OOPS)
                one.kill()

    def _end_if_due(self) -> None:
        now = time.monotonic()
        if self._signals.next() is not None:
            self._stops += 1
            self._end()
        elif self._ends_at is not None and now >= self._ends_at:
            self._is_over = True  # each worker has its own limit
        elif not self._is_over and self._are_failing():
            self._failing_since = self._failing_since or now
            if now - self._failing_since >= self._options.give_up:
                self._has_failed = True
                text = "All instances have failed for %g s: the worker leaves."
                self._logger.error(text, self._options.give_up, extra=NO_OOPS)
                self._end()
        else:
            self._failing_since = None

    def _are_failing(self) -> bool:
        wanted = [one for one in self._all() if one.is_wanted]
        return bool(wanted) and all(one.is_failing for one in wanted)

    def _end(self) -> None:
        """Stop all workers, as often as this one was stopped."""
        if not self._is_over:
            self._is_over = True
            self._notifier.stopping()
        for one in self._all():
            one.stop(max(1, self._stops))

    def _tell_systemd(self) -> None:
        """Say that all are at work, once each is or has shown that it cannot be, and that this is alive."""
        if not self._is_ready and all(one.is_settled for one in self._all()):
            self._is_ready = True
            self._notifier.ready()
        self._notifier.alive()

    def _wait(self, selector: selectors.BaseSelector, wakeup: int) -> None:
        """Wait until a worker says something or has ended, a signal arrives, or something may be due."""
        interval = self._notifier.interval
        timeout = WAIT_SECONDS if interval is None else min(WAIT_SECONDS, interval)
        for key, _ in selector.select(self._signals.timeout(timeout)):
            if key.fd == wakeup:
                os.read(wakeup, MAX_READ)
            elif not key.data.hear():
                selector.unregister(key.fd)  # it has closed its end: it is about to be reaped


def _is_wanted(one: One) -> bool:
    return one.is_wanted


def _names_in(settings: Settings) -> set[str]:
    """Return the names of sections and of their queues."""
    queues = {section.queue for section in settings.sections.values() if section.queue is not None}
    return {*settings.sections, *queues}
