"""``jobcron web --instances``: a server for each of several instances, in a process of its own.

Two applications in one process would share their classes, their settings and their mistakes.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

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
    """Serve instances until SIGTERM, SIGINT or Ctrl-C; one that cannot be served does not stop the others.

    Args:
        found: the instances.
        place: where the first one listens; the others on the ports behind it.
        options: the other options of ``jobcron web``, for each of them.
        tell: prints a line.

    Returns:
        The worst exit status, once all have ended by themselves.
    """
    servers: list[subprocess.Popen[str]] = []
    signal.signal(signal.SIGTERM, _leave)
    try:
        for number, one in enumerate(found):
            listen = place.beside(number)
            command = [sys.executable, "-m", "jobcron.commands", "--config", one.path, "web", f"--listen={listen}"]
            server = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
            servers.append(server)
            Thread(target=_repeat, args=(server, one.name, tell), daemon=True).start()
        return max(server.wait() for server in servers)
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            try:
                server.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _repeat(server: subprocess.Popen[str], name: str, tell: Callable[[str], None]) -> None:
    """Print what a server prints, with the name of its instance."""
    assert server.stdout is not None
    for line in server.stdout:
        tell(f"{name}: {line.rstrip()}")


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
