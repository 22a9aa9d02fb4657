"""The program of a child process that runs jobs; see `jobcron.runner.isolated.__main__`.

The arguments are the parent's id and descriptors: a socket to the parent (`_child`), a file to which the
interpreter writes where it was when a signal killed it, and the section's lock if there is one. The first message
is the order:

``path``          the module search path, as in the parent
``config``        the configuration file
``database_url``, ``user``, ``origin``    the database, the role, and where they are named
``section``       whose prefix and directory reports have, or null
``source``        the dotted name of the source, or of an interface that it provides
``level``         of the log
``alarm_level``   from which on its records become reports, or null
``crash_limit``, ``grace_seconds``        see ``configs/schema.conf``
``wait_for_code``                         see ``configs/schema.conf``

Then follow the jobs, ``{"run": [number, token, time of the claim]}``, one at a time, and ``{"stop": true}``
before each signal that asks the child to stop. The child's messages are in `_messages`: ``ready``; for each
job ``started``, ``running``, ``over`` when its ``run`` has ended, and ``done`` with its outcome; ``log`` for
each record of its log; and ``trouble`` if it cannot go on. After a job that did not complete, the child exits:
the next job gets a fresh process.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import sys
from contextlib import suppress

from jobcron.database.database import Database
from jobcron.database.version import check_file
from jobcron.errors import UserMistake
from jobcron.jobs.lease import close_in_forks
from jobcron.queue.sources import source_of
from jobcron.queue.views import SourceView
from jobcron.reports.alarm import Alarm
from jobcron.reports.logs import StandardError
from jobcron.reports.mail import post
from jobcron.reports.oops import globalErrorUtility
from jobcron.runner.application import load_application, session_class_of
from jobcron.runner.isolated._handed import ChildGuard, HandedFeed
from jobcron.runner.isolated._line import Line
from jobcron.runner.isolated._log_records import ToParent
from jobcron.runner.isolated._memory import offer_to_the_kernel
from jobcron.runner.isolated._messages import Message
from jobcron.runner.job_runner import JobRunner
from jobcron.runner.source_runner import Limits
from jobcron.runner.surroundings.garbage import ImportsForGood
from jobcron.settings.instance import load_settings, presented
from jobcron.settings.named import find_named

PR_SET_PDEATHSIG = 1


def main(parent: int, descriptor: int, last_words: int, lock: int | None = None) -> int:
    """Run the jobs that the parent hands over, until there are no more; return the exit status."""
    die_with_the_parent(parent)
    os.set_inheritable(last_words, False)
    if lock is not None:  # the parent's, shared as long as this process lives, but not with what it starts
        os.set_inheritable(lock, False)
        close_in_forks(lock)
    faulthandler.enable(last_words, all_threads=False)
    offer_to_the_kernel()
    line = Line(descriptor)
    order = line.hear()
    if order is None:
        return 0
    logger = logging.getLogger()
    handler = ToParent(line.say)
    logger.addHandler(handler)
    if order["alarm_level"] is not None:
        logger.addHandler(Alarm(order["alarm_level"]))
    logger.setLevel(order["level"])
    os.register_at_fork(after_in_child=lambda: _detach(line, logger, handler))
    try:
        _work(line, order, logger)
    except UserMistake as error:
        line.say("trouble", text=str(error), error=type(error).__name__)
        return error.exit_status
    except KeyboardInterrupt:
        return 1  # the parent knows
    return 0


def _work(line: Line, order: Message, logger: logging.Logger) -> None:
    sys.path[:] = order["path"]
    settings = load_settings(order["config"])._replace(database_url=order["database_url"])
    with presented(settings):
        globalErrorUtility.configure(order["section"], settings)
        with ImportsForGood(is_ours=True):
            application = load_application(settings)
        asked_by = "the source of an isolated run"
        found = find_named(order["source"], asked_by, "an interface or a job class", lambda found: True)
        source = source_of(found, asked_by, settings)
        post.configure(settings.mail, settings.mail_from, settings.recipients_of(order["section"]))
        database = Database(
            order["database_url"],
            order["user"],
            origin=order["origin"],
            session_class=session_class_of(settings),
        )
        check_file(order["database_url"], database.where)
        try:
            view = SourceView(source)
            feed = HandedFeed(line, view)
            runner = JobRunner(
                source,
                database,
                application=application,
                logger=logger,
                limits=Limits(
                    1, order["crash_limit"], order["grace_seconds"], wait_for_code=order["wait_for_code"]
                ),
                feed=feed,
                guard=ChildGuard(line, view, feed),
            )
            try:
                runner.runAll()
            finally:
                feed.tell_done()  # a stopped run takes no next job
        finally:
            database.close()


def _detach(line: Line, logger: logging.Logger, handler: ToParent) -> None:
    """Make a forked copy of this process log to its standard error, not to the parent."""
    if line.cut():  # else this is a fork of a fork
        logger.removeHandler(handler)
        logger.addHandler(StandardError(sys.stderr))


def die_with_the_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies: nobody would look after it. Linux only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit(1)  # it is dead already
