"""Runs the section of a proof in forked children, which can be told to die at a line.

    forks.py INSTANCE OPTIONS

Orders come by standard input, a line of JSON each, which may have:

``count``                          count the executed lines of a run's modules, which takes its time, and write
                                   to this file a number for each: that of the line of code
``die_at``                         kill the child with SIGKILL before this one of them
``url``                            find the database there, and do not wait long for it
``fail_at``, ``errno``, ``lasting``  let this system call on the package's files fail, or all from it on
``section``                        which one; by default ``work``
``options``                        of the script
``warm``                           run this section here, for all children to find its statements compiled

The answer is ``{"status": s, "lines": n, "calls": m}``.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy.orm import configure_mappers

import jobcron
import proofapp
from jobcron import JobCronScript
from jobcron.commands import main as commands  # noqa: F401
from jobcron.database import retry
from jobcron.queue import tick  # noqa: F401
from jobcron.runner.grouped import _pace
from jobcron.testing import run_waiting

PACKAGE = Path(jobcron.__file__).parent

STAGES = (
    "database/after_commit", "database/retry", "database/runs", "functions/calls",
    "functions/_connector_names", "functions/registered", "jobs/arguments/document",
    "jobs/history", "jobs/lease", "queue/claim", "queue/error_rules", "queue/feed", "queue/finish",
    "queue/loading", "queue/objects/awaited", "queue/outcome", "queue/_source_feed", "queue/tick",
    "queue/type_feed", "queue/views",
    "reports/mail", "reports/oops", "reports/_publishers", "runner/attempt", "runner/_clock", "runner/_completion",
    "runner/_context", "runner/_executor", "runner/failure", "runner/_fence", "runner/isolated/_child",
    "runner/isolated/_deaths", "runner/isolated/_descendants", "runner/isolated/_messages",
    "runner/isolated/runner", "runner/isolated/_slot", "runner/isolated/_slots", "runner/job_runner",
    "runner/source_runner", "runner/_telling",
    "database/connecting/sharing", "runner/grouped/_attempt", "runner/grouped/_claims", "runner/grouped/_group",
    "runner/grouped/groups", "runner/grouped/_objects", "runner/grouped/_pace", "runner/grouped/runs",
    "runner/grouped/_sessions",
    "scripts/cron_script", "scripts/job_script", "scripts/locks/lock", "scripts/options", "scripts/order",
    "scripts/_section_run", "settings/directories", "steps/_job", "steps/_progress", "steps/_running",
    "steps/_workspace",
)  # fmt: skip
"""The modules whose lines count: those that a job flows through."""

FILES = {str((PACKAGE / f"{stage}.py").resolve(strict=True)) for stage in STAGES}


class Deadline:
    """Counts executed lines, and kills the process before one of them.

    Args:
        at: the line's number; 0: never.

    Attributes:
        lines: how many were executed.
        code: a number for each of them, if it is counted only: that of the line of code.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0
        self.code: list[int] = []
        self._known: dict[tuple[str, int], int] = {}

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Count, as of `sys.settrace`."""
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            self.lines += 1
            if not self.at:
                line = frame.f_code.co_filename, frame.f_lineno
                self.code.append(self._known.setdefault(line, len(self._known)))
            elif self.lines == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.trace


CALLS = ("open", "write", "pwrite", "ftruncate", "fsync", "link", "rename", "mkdir")
"""The system calls with which the package writes its own files."""


class Faults:
    """Counts the system calls of the package's own modules, and lets one of them fail.

    Args:
        at: the call's number; 0: none fails.
        number: the error's.
        is_lasting: whether all later ones fail as well.
    """

    def __init__(self, at: int, number: int, is_lasting: bool) -> None:
        self.at, self.number, self.is_lasting = at, number, is_lasting
        self.calls = 0
        for name in CALLS:
            setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, call: Any) -> Any:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            caller = Path(sys._getframe(1).f_code.co_filename)
            if caller.is_relative_to(PACKAGE) and caller.stem != "_keeper":  # whose pipe is no file
                self.calls += 1
                if self.at and (self.calls == self.at or (self.is_lasting and self.calls > self.at)):
                    raise OSError(self.number, os.strerror(self.number))
            return call(*arguments, **options)

        return wrapper


def run(instance: str, order: dict[str, Any], answer: int) -> None:
    """Run the section in this process, as ``jobcron run`` does; write the numbers of lines and calls to a pipe."""
    faults = Faults(order.get("fail_at", 0), order.get("errno", 5), order.get("lasting", False))
    os.environ["JOBCRON_CONFIG"] = instance
    _pace.GROUP_SECONDS = 5.0  # however long it takes to count lines
    if "url" in order:
        os.environ["JOBCRON_DATABASE_URL"] = order["url"]
        for name in ("WHILE_CLAIMING", "WHILE_FINISHING"):
            policy = getattr(retry, name)
            setattr(retry, name, policy._replace(pauses=(0.01,) * len(policy.pauses)))
    sys.argv = ["jobcron run", order.get("section", "work"), *order.get("options", ())]
    deadline = Deadline(order.get("die_at", 0))
    status = 0
    if "count" in order or "die_at" in order:
        sys.settrace(deadline.trace)
    try:
        JobCronScript(commandline_config=True).lock_and_run()
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    finally:
        sys.settrace(None)
    if "count" in order:
        Path(order["count"]).write_text(json.dumps(deadline.code))
    os.write(answer, f"{deadline.lines} {faults.calls}".encode())
    sys.stderr.flush()
    os._exit(status)


def warm(instance: str, section: str) -> None:
    """Run the section in this process, as tests do."""
    os.environ["JOBCRON_CONFIG"] = instance
    run_waiting(section)
    del sys.modules["jobcron.scripts._section_run"]  # a run knows by it whether it is the first of its process
    gc.collect()
    gc.freeze()


def compile_statements_once() -> None:
    """Let all children have the statements that `warm` compiles."""
    sys.path.append(str(Path(__file__).parents[1] / "tools"))
    from compiled_statements import compile_once

    sys.path.pop()
    compile_once()


def main(instance: str) -> None:
    """Carry out orders until there are no more."""
    assert proofapp.ProofJob.type_name
    configure_mappers()
    compile_statements_once()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "warm" in order:
            warm(instance, order["warm"])
            print("{}", flush=True)
            continue
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                run(instance, order, writing)
            finally:
                os._exit(70)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        lines, calls = (os.read(reading, 40) or b"0 0").split()
        os.close(reading)
        found = {"status": os.waitstatus_to_exitcode(status), "lines": int(lines), "calls": int(calls)}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
