"""A process of a worker: an ordinary run of one section, which waits for more work when nothing is ready."""

from __future__ import annotations

import argparse
import logging
import os
import random
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from jobcron.database.database import TransactionSource
from jobcron.reports.oops import globalErrorUtility
from jobcron.reports.ping import Ping
from jobcron.runner.application import Application
from jobcron.runner.job_runner import JobRunner
from jobcron.runner.source_runner import Guard, JobEnd, SourceRunner
from jobcron.scripts._endings import end_outage, exit_status_of
from jobcron.scripts._section_run import run_section
from jobcron.scripts.order import Order, RunnerClass, is_plain, runner_class_of
from jobcron.scripts.worker._line import BEGUN, FRUITLESS, IDLE, LOOK_BACK, ORDERLY, RENEW, STARTED, Line
from jobcron.scripts.worker._terms import Terms
from jobcron.settings.settings import Settings

WAIT_SECONDS = 1.0
"""How often a waiting process looks whether a signal asked it to stop."""

STATM = "/proc/self/statm"


@dataclass
class Membership:
    """What the end of a run needs of its script; see `_endings.EndingScript`."""

    parser: argparse.ArgumentParser
    logger: logging.Logger
    settings: Settings
    outage_file: str
    lock_held_level: int = logging.INFO


class Waiting(Guard):
    """Keeps a run going while the worker wants it.

    Args:
        line: the line to the supervisor.
        terms: the worker's.
    """

    def __init__(self, line: Line, terms: Terms) -> None:
        self._line = line
        self._terms = terms
        self._runner: JobRunner | None = None
        self._leaves_at = time.monotonic() + terms.max_age
        self._jobs = 0
        self._jobs_when_idle = 0
        self.knows_of_more = self._is_to_renew = False
        self.hears_of_jobs = terms.is_notified and not terms.until_empty

    def runner(self, chosen: RunnerClass) -> RunnerClass:
        """Return what makes the section's runner, accompanied by this if it runs its jobs in this process.

        Any other runner ends when nothing is ready, and so does its process.
        """
        return _Accompanied(chosen, self) if is_plain(chosen) else _Announced(chosen, self._line)

    def made(self, runner: JobRunner) -> JobRunner:
        """Note the runner."""
        self._runner = runner
        return runner

    @property
    def batch_size(self) -> int | None:
        """How many jobs are claimed at once at most; None: as many as the section says."""
        return 1 if self._terms.rate.interval else None

    def before_claim(self, must_stop: Callable[[], bool]) -> None:
        """Wait until the rate allows another job; end the run if the worker wants no more of it meanwhile."""
        assert self._runner is not None
        while left := self._terms.rate.seconds_left():
            if must_stop():
                return
            self._line.waits(min(left, WAIT_SECONDS))
            if self._line.must_leave():
                self._runner.end()
                return

    def waits_for_more(self, must_stop: Callable[[], bool]) -> bool:
        """Wait for the supervisor's word."""
        self._terms.rate.release()
        is_fruitless = self._jobs == self._jobs_when_idle
        self._line.say(FRUITLESS if is_fruitless else IDLE)
        self._jobs_when_idle = self._jobs
        if is_fruitless and self._is_to_renew:
            return False  # there is something that only a new run does, such as the creation of scheduled jobs
        idle_until = min(time.monotonic() + self._terms.linger, self._leaves_at)
        while not must_stop() and time.monotonic() < idle_until:
            if words := self._line.waits(min(WAIT_SECONDS, idle_until - time.monotonic())):
                self._is_to_renew = RENEW in words
                self.knows_of_more = self._is_to_renew or LOOK_BACK in words
                return True
            if self._line.must_leave():
                return False
        return False

    def job_begins(self) -> None:
        """Say that there was a job, and note its start for the rate."""
        if self._jobs == self._jobs_when_idle:
            self._line.say(BEGUN)
        self._terms.rate.job_begins()

    def job_ended(self, end: JobEnd) -> None:
        """End the run if the worker wants no more of it."""
        assert self._runner is not None
        self._jobs += 1
        if self._line.must_leave() or self._is_used_up():
            self._runner.end()

    def _is_used_up(self) -> bool:
        terms = self._terms
        if time.monotonic() >= self._leaves_at or (terms.max_jobs is not None and self._jobs >= terms.max_jobs):
            return True
        return terms.max_memory is not None and _resident_bytes() >= terms.max_memory


class _Accompanied(NamedTuple):
    """Makes runners of a class with a guard."""

    runner_class: type[JobRunner]
    guard: Waiting

    def for_source(
        self, source: object, database: TransactionSource, logger: logging.Logger | None = None, **options: object
    ) -> SourceRunner:
        """Return a runner; see `JobRunner.for_source`."""
        runner = self.runner_class(source, database, logger=logger, guard=self.guard, **options)
        return self.guard.made(runner)


class _Announced(NamedTuple):
    """Makes runners with other processes, of which we hear nothing, and says that they are about to begin."""

    runner_class: RunnerClass
    line: Line

    def for_source(
        self, source: object, database: TransactionSource, logger: logging.Logger, **options: Any
    ) -> SourceRunner:
        """Return a runner; see `JobRunner.for_source`. The database has answered, or this would not be called."""
        self.line.say(STARTED)
        return self.runner_class.for_source(source, database, logger, **options)


def serve(order: Order, application: Application, program: str, line: Line, terms: Terms) -> int:
    """Run a section in this process, until the worker wants it no more; return the exit status above `ORDERLY`.

    The service that expects pings hears of the end alone: a ping at the start would hold up the first job.

    Args:
        order: the run to perform.
        application: the imported application.
        program: the worker's name, for reports.
        line: the line to the supervisor.
        terms: the worker's.
    """
    random.seed()  # each of the forked processes would draw the same numbers
    status = status_of(order, program, lambda: _run(order, application, line, terms))
    if order.section.ping_url is not None:
        Ping(order.section.ping_url, order.logger).end(status)
    return ORDERLY + status


def _run(order: Order, application: Application, line: Line, terms: Terms) -> None:
    guard = Waiting(line, terms)
    chosen = guard.runner(runner_class_of(order.settings, order.section))
    if guard.batch_size is not None:
        order = order._replace(section=order.section._replace(batch_size=guard.batch_size))
    run_section(order._replace(runner_class=chosen), application)


def status_of(order: Order, program: str, work: Callable[[], None]) -> int:
    """Do the work of a forked process; return its exit status, as a script's.

    Args:
        order: the run to which it belongs.
        program: the script's name, for reports.
        work: what it does.
    """
    settings, section = order.settings, order.section
    parser = argparse.ArgumentParser(prog=program)
    script = Membership(parser, order.logger, settings, settings.outage_file(section.name))
    try:
        globalErrorUtility.configure(section.name, settings)
        work()
        if os.path.lexists(script.outage_file):
            end_outage(script)
    except (Exception, KeyboardInterrupt) as error:
        return exit_status_of(script, error)
    return 0


def _resident_bytes() -> int:
    """Return the resident memory of this process: now, or at its peak where the system does not tell more."""
    try:
        with open(STATM, encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
