"""The program of a child process that runs jobs; see `jobcron.isolation.__main__`.

The parent's number, and descriptors: of a socket to it (`jobcron.isolation.child`), and of a file to which the
interpreter writes where it was when a signal killed it. The first message is the order:

``path``          where modules are found, as in the parent
``config``        the configuration file
``database_url``, ``user``, ``origin``    the database, the role, and where they are named
``section``       whose prefix and directory reports have, or null
``source``        the dotted name of the source, or of an interface that it provides
``level``         of the log
``crash_limit``, ``grace_seconds``        see ``configs/schema.conf``

Then come jobs, ``{"run": [number, token, time of the claim]}``, one after the other, and ``{"stop": true}`` before
each signal that asks the child to stop. What the child says is in `jobcron.isolation.messages`: ``ready``; of each
job that it has ``started`` or is ``running``, that its ``run`` is ``over``, and ``done`` with what became of it;
``log`` for each record of its log; and ``trouble`` where it cannot go on. After a job that did not complete it
ends: the next one gets a process that is fresh.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.orm import Session

from jobcron.alarm import Alarm
from jobcron.application import load_application, session_class_of, source_of
from jobcron.attempt import Attempt, lost
from jobcron.claim import Claim
from jobcron.claimed import Entry, Unloadable, load_claimed
from jobcron.database import Database
from jobcron.errors import UserMistake
from jobcron.execution import Executor
from jobcron.failure import cleans_up
from jobcron.feed import Feed
from jobcron.imports import ImportsForGood
from jobcron.instance import load_settings, presented
from jobcron.isolation.memory import memory_limited, offer_to_the_kernel
from jobcron.isolation.records import ToParent
from jobcron.logs import StandardError
from jobcron.metrics import Event, JobEnded, JobStarted, Observer
from jobcron.notify import post
from jobcron.oops import globalErrorUtility
from jobcron.outcome import Outcome
from jobcron.runner import JobRunner
from jobcron.source_runner import Limits
from jobcron.workplace import Workplace

PR_SET_PDEATHSIG = 1

INTERRUPTING = {signal.SIGTERM, signal.SIGINT, signal.SIGURG}

STOP_SECONDS = 1.0
"""How much later than a signal the parent's word may come that it asked for it."""

CUT_OFF_STATUS = 70
"""With which a process leaves that cannot talk to its parent any more."""


class Line:
    """The socket to the parent; a copy of this process has none."""

    def __init__(self, descriptor: int) -> None:
        self._is_cut = False
        self._lock = threading.RLock()  # a long message is sent in several parts
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._reader = self._socket.makefile("rb", buffering=0)  # what was not heard yet stays in the socket
        self._status = os.fstat(descriptor)

    def say(self, kind: str, **message: Any) -> None:
        """Tell the parent; where it is gone, nobody."""
        line = json.dumps({"kind": kind, **message}).encode() + b"\n"
        if self._is_cut:  # the lock may be held by a thread that is not in this copy
            return
        # What interrupts a job is not to interrupt this: half a line would be taken for nonsense.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTING)
        try:
            with self._lock, suppress(OSError):
                self._socket.sendall(line)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def is_whole(self) -> bool:
        """Whether nobody has closed the socket."""
        try:
            return os.path.samestat(os.fstat(self._socket.fileno()), self._status)
        except OSError:
            return False

    def cut(self) -> None:
        """Let go of the socket, in a copy of this process: what several processes send becomes mixed."""
        self._is_cut = True
        with suppress(OSError):
            os.close(self._socket.detach())

    def hear(self) -> dict[str, Any] | None:
        """Return the parent's next message, or None where there will be none."""
        line = self._reader.readline()
        return json.loads(line) if line else None

    def is_told_to_stop(self) -> bool:
        """Tell whether the parent wants the job that runs to stop: it says nothing else in the middle of one.

        It may come a little late, where whoever stopped the parent has sent the same signal to this process.
        """
        return bool(select.select([self._socket], [], [], STOP_SECONDS)[0])


class HandedFeed:
    """The jobs that the parent hands over, each claimed already.

    Args:
        line: to the parent.
        runner: whose counts say what became of the job before.
    """

    def __init__(self, line: Line, runner: ChildRunner) -> None:
        self.line = line
        self._runner = runner
        self._pending: Claim | None = None
        self._last: int | None = None
        self._ended: JobEnded | None = None

    def took(self, seconds: float) -> None:
        """Learn nothing: the parent claims."""

    def forget(self) -> None:
        """Hold nothing."""

    def take(self, session: Session, must_stop: Callable[[], bool]) -> list[Entry]:
        """See `Feed`: say what became of the last job, and wait for the next."""
        if self._pending is None:
            self.tell_done()
            message = None if self._runner.incomplete.total() else self.line.hear()
            if message is None or "run" not in message:
                return []
            self._pending = Claim(*message["run"])
        session.expunge_all()
        entry = load_claimed(self._runner.source, session, self._pending)
        row = getattr(entry[1], "job", None)
        if row is not None and row.lease_token != self._pending.token:
            entry = (self._pending, Unloadable(lost(self._pending)))  # while this process was being started
        session.commit()
        self._last, self._pending = entry[0].id, None
        self.line.say("started")
        return [entry]

    def note(self, event: Event) -> None:
        """Say that a job is run; keep how it ended until that is said with all else that is known of it."""
        match event:
            case JobStarted():
                self.line.say("running")
            case JobEnded():
                self._ended = event

    def tell_done(self) -> None:
        """Tell the parent what became of the job that ran, if one did and it is decided."""
        runner = self._runner
        if self._last is None or not (runner.completed or runner.incomplete):
            return
        self._last = None
        self.line.say(
            "done",
            is_completed=not runner.incomplete,
            oops_ids=runner.oops_ids,
            outcome=self._ended and self._ended.outcome,
            seconds=self._ended and self._ended.seconds,
        )
        self._ended = None
        runner.completed.clear()
        runner.oops_ids.clear()


class ChildRunner(JobRunner):
    """Runs the jobs that the parent hands over."""

    def __init__(self, line: Line, *arguments: Any, **options: Any) -> None:
        self.handed = HandedFeed(line, self)
        super().__init__(*arguments, **options)
        self.observer = Observer("", {"The line to the parent": self.handed.note}, self.logger)

    def _make_feed(self) -> Feed:
        return self.handed

    def _make_executor(self, place: Workplace) -> Executor:
        return ChildExecutor(self.handed.line, self, place, self._feed.forget)

    def _drain(self) -> None:
        self.handed.line.say("ready")  # the source's own context is entered, and signals are heard
        super()._drain()


class ChildExecutor(Executor):
    """Runs a job under what only its own process can see to: memory, and the line to the parent."""

    def __init__(self, line: Line, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._line = line

    def _run(self, attempt: Attempt) -> None:
        super()._run(attempt)
        self._line.say("over", cleans_up=False)

    def _let_clean_up(self, attempt: Attempt, outcome: Outcome) -> None:
        self._line.say("over", cleans_up=cleans_up(attempt, outcome))
        super()._let_clean_up(attempt, outcome)

    def _is_asked_to_stop(self) -> bool:
        """See `Executor`; no signal that the job has sent itself, or the parent would claim it for ever."""
        return super()._is_asked_to_stop() and self._line.is_told_to_stop()

    @contextmanager
    def _watched(self, attempt: Attempt) -> Iterator[None]:
        source = self._runner.source
        limit = getattr(attempt.runnable, "memory_limit", None) or getattr(source, "memory_limit", None)
        with super()._watched(attempt), memory_limited(limit):
            try:
                yield
            finally:
                if not self._line.is_whole:
                    # The job has closed what it did not open, the database's connection too perhaps: it is not to
                    # pass for a database that has gone away, after which the job would be run again.
                    os._exit(CUT_OFF_STATUS)


def main(parent: int, descriptor: int, last_words: int) -> int:
    """Run what the parent hands over, until there is no more; return the exit status."""
    die_with_the_parent(parent)
    os.set_inheritable(last_words, False)
    faulthandler.enable(last_words, all_threads=False)
    offer_to_the_kernel()
    line = Line(descriptor)
    order = line.hear()
    if order is None:
        return 0
    logger = logging.getLogger()
    handler = ToParent(line.say)
    logger.addHandler(handler)
    logger.addHandler(Alarm())
    logger.setLevel(order["level"])
    os.register_at_fork(after_in_child=lambda: _part(line, logger, handler))
    try:
        _work(line, order, logger)
    except UserMistake as error:
        line.say("trouble", text=str(error), status=error.exit_status)
        return error.exit_status
    except KeyboardInterrupt:
        return 1  # the parent knows
    return 0


def _work(line: Line, order: dict[str, Any], logger: logging.Logger) -> None:
    sys.path[:] = order["path"]
    settings = load_settings(order["config"])._replace(database_url=order["database_url"])
    with presented(settings):
        globalErrorUtility.configure(order["section"], settings)
        with ImportsForGood(is_ours=True):
            application = load_application(settings)
        module, _, name = order["source"].partition(":")
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        source = source_of(found, "the source of an isolated run", settings)
        post.configure(settings.mail, settings.mail_from)
        database = Database(
            order["database_url"],
            order["user"],
            origin=order["origin"],
            session_class=session_class_of(settings),
        )
        limits = Limits(1, order["crash_limit"], order["grace_seconds"])
        try:
            runner = ChildRunner(line, source, database, application=application, logger=logger, limits=limits)
            try:
                runner.runAll()
            finally:
                runner.handed.tell_done()  # a run that is stopped takes no next job
        finally:
            database.close()


def _part(line: Line, logger: logging.Logger, handler: ToParent) -> None:
    """Let a copy of this process log to its standard error, and not to the parent."""
    line.cut()
    logger.removeHandler(handler)
    logger.addHandler(StandardError(sys.stderr))


def die_with_the_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies: nobody would look after it. Linux alone can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit(1)  # it is dead already
