"""A script puts right what its parent left it: closed standard streams, ignored and blocked signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from paths import JOBCRON
from runner_processes import configure, is_as_never_claimed, make
from shortleaseapp import BusyJob

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def run(instance: Instance, section: str, before: Callable[[], object], expect: int = 0) -> str:
    """Run a section in a process that does something before it becomes one of ours; return standard error."""
    done = subprocess.run(
        [JOBCRON, "run", section],
        env={**os.environ, "JOBCRON_CONFIG": str(instance.path)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=before,
    )
    assert done.returncode == expect, done.stderr
    return done.stderr


def test_a_run_without_standard_streams_writes_into_none_of_its_files(instance: Instance, tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = (
        "import os, sys\n"
        "from jobcron.scripts.cron_script import CronScript\n"
        "class Script(CronScript):\n"
        "    def main(self):\n"
        f"        files = [os.readlink(f'/proc/self/fd/{{n}}') for n in range(3)]\n"
        f"        open({str(told)!r}, 'w').write(' '.join(files))\n"
        "Script(name='test').lock_and_run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "JOBCRON_CONFIG": str(instance.path)},
        check=False,
        preexec_fn=lambda: os.closerange(0, 3),
    )
    assert (done.returncode, told.read_text()) == (0, "/dev/null /dev/null /dev/null")


def test_a_stop_is_heard_though_its_signal_was_blocked(instance: Instance) -> None:
    configure(instance)
    make(instance, BusyJob, ("signal", signal.SIGTERM))
    behind = [make(instance, BusyJob) for _ in range(3)]
    run(instance, "busy", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGURG}))
    assert all(is_as_never_claimed(instance.row(job)) for job in behind)


def test_the_end_of_child_processes_is_known_though_it_was_ignored(instance: Instance) -> None:
    job = instance.act(("child_fails", ""))
    run(instance, "act", lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert instance.row(job).status is JobStatus.FAILED
