"""Workers of Celery's, in processes of their own, and instances whose jobs go to them."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kombu.connection import Connection
from kombu.entity import Queue

from brokers import Broker
from fork_server import Forked, ForkServer
from instances import Instance, wait_until
from jobcron import JobStatus
from jobcron.dispatch import dispatchers
from jobcron.dispatch.dispatchers import SectionDispatcher, current_dispatchers
from jobcron.settings.instance import load_settings
from jobcron.settings.settings import Section

SOON = 60.0

COMMAND = [sys.executable, "-m", "celery", "-A", "jobcron.celery"]

LIBRARIES = (
    *("celery.bin.celery", "celery.bin.worker", "celery.apps.worker", "celery.concurrency.prefork"),
    *("kombu.transport.pyamqp", "kombu.transport.redis"),
)


def celery_sections(dispatch: str = "dispatch: celery") -> str:
    """Return sections whose queues no other test has: brokers outlive tests."""
    mark = uuid4().hex[:8]
    return "".join(
        f"[{name}]\nsource_interface: {source}\n{dispatch}\ndispatch_queue: {mark}.{name}\n\n"
        for name, source in (("act", "fooapp.IActJobSource"), ("do_foo", "fooapp.IDoFooJobSource"))
    )


def configure(instance: Instance, url: str, sections: str | None = None) -> None:
    """Let the jobs of an instance go to a broker."""
    instance.configure(f"celery_broker_url: {url}", celery_sections() if sections is None else sections)


def offers_to(
    instance: Instance, broker: Broker, monkeypatch: pytest.MonkeyPatch, sections: str | None = None
) -> Instance:
    """Let an instance's jobs go to a broker."""
    configure(instance, broker.url, sections)
    monkeypatch.setenv("JOBCRON_CONFIG", str(instance.path))
    monkeypatch.setattr(dispatchers, "REST_SECONDS", 0.0)
    return instance


def dispatcher(section: str = "act") -> SectionDispatcher:
    """Return the dispatcher of a section's jobs."""
    found = current_dispatchers()
    of_section = found and found.of_section(section)
    assert of_section
    return of_section


@functools.cache
def _fork_server() -> ForkServer:
    """Return what forks workers: it has imported Celery, and not what makes an application of it."""
    found = ForkServer(libraries=LIBRARIES)
    atexit.register(found.close)
    return found


class CeleryWorker:
    """A worker in a process of its own.

    Attributes:
        log: the file of its standard error.
        process: its main process.
    """

    def __init__(self, instance: Instance, *options: str) -> None:
        self.log = instance.path / "celery.log"
        self.process: subprocess.Popen[bytes] | Forked
        command = [*COMMAND, "worker", "-l", "INFO", "--without-mingle", "--without-gossip", *options]
        environment = {**os.environ, "JOBCRON_CONFIG": str(instance.path)}
        with self.log.open("a") as log, open(os.devnull, "w", encoding="ascii") as nothing:
            if _fork_server().suits(environment):
                files = nothing.fileno(), log.fileno()
                self.process = _fork_server().start(
                    Path(command[1]), command[2:], environment, None, *files, has_session=True
                )
            else:
                self.process = subprocess.Popen(
                    command, env=environment, stdout=nothing, stderr=log, start_new_session=True
                )

    def said(self, text: str) -> bool:
        """Return whether its log has a text."""
        return re.search(text, self.log.read_text()) is not None

    def wait(self) -> None:
        """Wait until it receives messages."""
        wait_until(lambda: self.said(" ready\\.") or self.process.poll() is not None, "the worker", SOON)
        assert self.process.poll() is None, self.log.read_text()

    def stop(self) -> int:
        """Ask it to end; return its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SOON)

    def kill(self) -> None:
        """Kill all its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()  # also one that has no session yet
        self.process.wait()


def refused_line(instance: Instance, *options: str) -> str:
    """Start a worker that has to end with status 2 and one line of jobcron's; return that."""
    worker = CeleryWorker(instance, *options)
    try:
        status = worker.process.wait(SOON)
    finally:
        worker.kill()
    said = worker.log.read_text()
    assert status == 2, said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("jobcron: ")]
    assert said.rstrip().endswith(line)
    return line


@contextmanager
def celery_worker(instance: Instance, *options: str) -> Iterator[CeleryWorker]:
    """Start a worker, and wait until it is ready; it is killed at the end."""
    worker = CeleryWorker(instance, *options)
    try:
        worker.wait()
        yield worker
    finally:
        worker.kill()


def completed(instance: Instance, *numbers: int) -> None:
    """Wait until jobs have completed."""

    def are_completed() -> bool:
        return all(instance.row(number).status is JobStatus.COMPLETED for number in numbers)

    wait_until(are_completed, f"jobs {numbers}", SOON)


def each_once(instance: Instance, *numbers: int) -> None:
    """Check that each job has completed, and has done its work once."""
    assert [instance.row(number).status for number in numbers] == [JobStatus.COMPLETED] * len(numbers)
    assert sorted(job for job, _, _ in instance.ledger()) == sorted(numbers)


@contextmanager
def _channel(section: Section) -> Iterator[Queue]:
    url = load_settings().celery_broker_url
    with Connection(url) as connection:
        yield Queue(section.offers_in, durable=True).bind(connection.default_channel)


def waiting(section: Section) -> int:
    """Return how many messages wait in a section's queue."""
    with _channel(section) as queue:
        return int(queue.queue_declare().message_count)


def hand_out_again() -> None:
    """Put back what dead workers had fetched: RabbitMQ does it at once, Redis after an hour, which is now over."""
    url = load_settings().celery_broker_url
    if url and url.startswith("redis:"):
        with Connection(url, transport_options={"visibility_timeout": -1}) as connection:
            fetched = connection.default_channel.client.zcard("unacked_index")
            assert fetched > 0
            connection.default_channel.qos.restore_visible(num=fetched)
            assert connection.default_channel.client.zcard("unacked_index") == 0


def taken(section: Section) -> tuple[dict[str, Any], list[Any]]:
    """Take a message out of a section's queue; return its headers, and its body as it is sent."""
    with _channel(section) as queue:
        message = queue.get(no_ack=True)
        assert message is not None
        return {**message.headers, **message.properties}, json.loads(message.body)


def purge(section: Section) -> int:
    """Take all messages out of a section's queue; return their number."""
    with _channel(section) as queue:
        return int(queue.purge())
