"""Runs the section of a proof in forked children, which can be told to die at a line.

    forks.py INSTANCE OPTIONS

Orders come by standard input, a line of JSON each: ``{"die_at": n}`` kills the child with SIGKILL before the n-th
line that it executes in the modules of a run; ``{"url": u}`` lets it find the database there, and not wait long
for it; ``{}`` lets it run to its end. The answer is ``{"status": s, "lines": n}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import proofapp
from jobcron import JobCronScript, finish, jobrun, keeper, operate, runner, tick  # noqa: F401

PACKAGE = Path(jobrun.__file__).parent

STAGES = (
    "script", "lock", "tick", "jobrun", "workplace", "runner", "feed", "claim", "attempt", "finish", "outcome",
    "aftermath", "report", "oops", "directory", "activity", "notify",
)  # fmt: skip
"""The modules whose lines count: those that a job flows through."""

FILES = {str(PACKAGE / f"{stage}.py") for stage in STAGES}


class Deadline:
    """Counts executed lines, and kills the process before one of them.

    Args:
        at: the line's number; 0: never.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Count, as of `sys.settrace`."""
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.trace


def run(instance: str, order: dict[str, Any], answer: int) -> None:
    """Run the section in this process, as ``jobcron run`` does; write the number of lines to a pipe."""
    os.environ["JOBCRON_CONFIG"] = instance
    if "url" in order:
        os.environ["JOBCRON_DATABASE_URL"] = order["url"]
        finish.PAUSE_SECONDS = 0.01
        runner.PAUSES = (0.01, 0.01, None)
    sys.argv = ["jobcron run", "work"]
    deadline = Deadline(order.get("die_at", 0))
    status = 0
    sys.settrace(deadline.trace)
    try:
        JobCronScript(commandline_config=True).lock_and_run()
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    finally:
        sys.settrace(None)
    os.write(answer, str(deadline.lines).encode())
    sys.stderr.flush()
    os._exit(status)


def main(instance: str) -> None:
    """Carry out orders until there are no more."""
    assert proofapp.ProofJob.type_name
    for line in sys.stdin:
        order = json.loads(line)
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
        lines = os.read(reading, 20)
        os.close(reading)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), "lines": int(lines or 0)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
