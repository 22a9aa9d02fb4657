"""Signals that ask a worker, or a run of several processes, to stop reach all of its processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from instances import Instance
from jobcron import JobStatus
from jobcron.queue.tick import ANSWER_SECONDS
from mute_server import MuteServer
from paths import JOBCRON
from worker_processes import SOON, eventually, worker

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\n"

STOPPED_BY_ITS_FIRST_FORK = """
import os, signal, sys, time

def stop():
    if not stopped:
        stopped.append(True)
        os.kill(os.getpid(), signal.SIGTERM)

stopped = []
# A new process needs a moment until the handlers of its parent are no longer in place.
os.register_at_fork(after_in_child=lambda: time.sleep(0.5), after_in_parent=stop)

from jobcron.commands.main import main

sys.exit(main())
"""

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def started(instance: Instance, *command: str | os.PathLike[str]) -> subprocess.Popen[bytes]:
    """Start a program with an instance."""
    environment = {**os.environ, "JOBCRON_CONFIG": str(instance.path)}
    return subprocess.Popen(command, env=environment, start_new_session=True)


def ends_soon(process: subprocess.Popen[bytes], go: os.PathLike[str]) -> int:
    """Return the status of a process that should end soon; the jobs that wait for a file end in any case."""
    try:
        return process.wait(SOON / 2)
    finally:
        with open(go, "w"):
            process.wait(SOON)


@ON_POSTGRESQL
@pytest.mark.parametrize("command", [("worker", "--poll", "0.2"), ("run", "act")])
def test_a_signal_just_after_a_fork_stops_the_new_process(instance: Instance, command: tuple[str, ...]) -> None:
    workers = "max_workers: 2\n" if command[0] == "run" else ""
    instance.configure("grace_seconds: 0s", f"{SECTIONS}{workers}")
    begun, go = instance.path / "begun", instance.path / "go"
    jobs = [instance.act(("touch", str(begun)), ("wait_for", str(go))) for _ in range(2)]
    process = started(instance, sys.executable, "-c", STOPPED_BY_ITS_FIRST_FORK, *command)
    assert ends_soon(process, go) == 0
    assert [instance.row(job).status for job in jobs] == [JobStatus.WAITING] * 2
    assert not begun.exists()


@ON_POSTGRESQL
@pytest.mark.parametrize("command", ["worker", "worker --instances {}", "run act"])
def test_of_two_signals_at_once_the_second_one_interrupts_the_jobs(instance: Instance, command: str) -> None:
    workers = "max_workers: 2\n" if command == "run act" else ""
    instance.configure("grace_seconds: 10m", f"{SECTIONS}{workers}")
    begun, go = instance.path / "begun", instance.path / "go"
    jobs = [instance.act(("touch", str(begun)), ("wait_for", str(go))) for _ in range(2)]
    process = started(instance, JOBCRON, *command.format(instance.path / "jobcron.conf").split())
    eventually(begun.exists)
    time.sleep(0.5)  # so that the process of the second job, if there is one, hears signals
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    ends_soon(process, go)
    assert [instance.row(job).status for job in jobs] == [JobStatus.WAITING] * 2


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
@pytest.mark.parametrize("notify", ["true", "false"])
def test_a_server_that_never_answers_makes_a_worker_neither_deaf_nor_mute(
    instance: Instance, notify: str, tmp_path: Path
) -> None:
    address = str(tmp_path / "notify")
    with MuteServer() as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(SOON)
        instance.configure(f"notify: {notify}", SECTIONS)
        path = instance.path / "jobcron.conf"
        path.write_text(path.read_text().replace(instance.url, server.url_like(instance.url)))
        with worker(instance, NOTIFY_SOCKET=address, WATCHDOG_USEC="2000000") as running:
            eventually(lambda: server.statements)
            asked_at = time.monotonic()
            assert systemd.recv(100) == b"READY=1"
            assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            assert len(server.statements) == 1
            assert running.stop() == 0
            assert time.monotonic() - asked_at < ANSWER_SECONDS
