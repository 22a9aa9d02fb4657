"""``jobcron web --instances``: a server for each of several instances, in a process of its own.

Two applications in one process would share their classes, their settings and their mistakes.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from threading import Thread
from typing import IO, TYPE_CHECKING, NamedTuple

from jobcron.reports.complaints import complain
from jobcron.web.serving import Place

if TYPE_CHECKING:
    from types import FrameType

END_SECONDS = 10.0
"""How long a server may take to end."""


class Served(NamedTuple):
    """An instance that is to be served.

    Attributes:
        name: for people.
        path: its configuration file.
    """

    name: str
    path: str


def serve_several(
    found: Sequence[Served], place: Place, options: Sequence[str], tell: Callable[[str], None]
) -> int:
    """Serve instances until SIGTERM, SIGHUP, SIGINT or Ctrl-C; one that cannot be served does not stop the others.

    Args:
        found: the instances.
        place: where the first one listens; the others on the ports behind it.
        options: the other options of ``jobcron web``, for each of them.
        tell: prints a line.

    Returns:
        The worst exit status, once all have ended by themselves.
    """
    servers: list[subprocess.Popen[str]] = []
    threads: list[Thread] = []
    for sent in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sent) is not signal.SIG_IGN:  # as nohup leaves SIGHUP
            signal.signal(sent, _leave)
    try:
        for number, one in enumerate(found):
            server = _started(one, place.beside(number), options)
            servers.append(server)
            for stream, write in ((server.stdout, tell), (server.stderr, complain)):
                threads.append(Thread(target=_repeat, args=(stream, one.name, write), daemon=True))
            threads.append(Thread(target=_mourn, args=(server, one.name), daemon=True))
        for thread in threads:
            thread.start()
        statuses = [server.wait() for server in servers]
        return max(status if status >= 0 else 128 - status for status in statuses)  # as shells have signals
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            try:
                server.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        for thread in threads:
            thread.join(END_SECONDS)


def _started(one: Served, listen: str, options: Sequence[str]) -> subprocess.Popen[str]:
    # -P: Python does not search the working directory.
    command = [sys.executable, "-P", "-m", "jobcron.commands", "--config", one.path, "web", f"--listen={listen}"]
    # A group of its own: what is sent from the keyboard reaches it once, through us.
    return subprocess.Popen(
        [*command, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
    )


def _mourn(server: subprocess.Popen[str], name: str) -> None:
    """Say when a server has ended otherwise than by our signal: the others go on."""
    status = server.wait()
    if status:
        complain(f"{name}: its server has ended, with status {status}")


def _repeat(stream: IO[str], name: str, write: Callable[[str], None]) -> None:
    """Print what a server prints, with the name of its instance: who did what is of use only with where."""
    for line in stream:
        write(f"{name}: {line.rstrip()}")


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
