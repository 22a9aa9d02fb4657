"""Stand in for ``python`` and ``jobcron`` on a PATH: have the fork server run the command, and exit as it does.

Started without ``site`` and with few imports: it is started each time, and the fork server is there to save that.

    fork_client.py ADDRESS EXECUTABLE ARGUMENT...

EXECUTABLE is the Python that the arguments are for, and that is called where a fork would not do.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal imports enum, which takes as long as all this
import _socket
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_")
"""Variables that a process reads when it starts: where one differs, a fork would not do."""


def suits(environment: Mapping[str, str], of_server: Mapping[str, str]) -> bool:
    """Tell whether a fork of a fork does in an environment what a new process would do."""
    return all(
        environment.get(name) == of_server.get(name)
        for name in environment.keys() | of_server.keys()
        if name.startswith(READ_AT_START) and name != "PYTHONDONTWRITEBYTECODE"
    )


def order(address: str, *, files: Sequence[int], **what: Any) -> _socket.socket:
    """Order a process from the fork server at an address.

    Args:
        files: its standard input, output and error.
        what: argv (of Python: a file, ``-`` or ``-m`` and a module come first), executable, environment and cwd;
            has_session, if it leads a session of its own.

    Returns:
        A connection which is told the number of the process, and its status once it has ended.
    """
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    line.connect(address)
    text = marshal.dumps(what)
    numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in files)
    line.sendmsg([len(text).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
    line.sendall(text)
    return line


def main(address: str, executable: str, *arguments: str) -> None:
    """Be a process that was ordered, as its parent sees it."""
    with open(f"{address}.environment", "rb") as file:
        if not suits(os.environ, marshal.load(file)):
            os.execv(executable, [executable, *arguments])
    line = order(
        address,
        argv=list(arguments),
        executable=executable,
        environment=dict(os.environ),
        cwd=os.getcwd(),
        files=(0, 1, 2),
    )
    with open(line.detach()) as answers:
        pid = int(answers.readline())
        for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
            _signal.signal(number, lambda received, frame: os.kill(pid, received))
        status = int(answers.readline())
    if status < 0:
        if -status != _signal.SIGKILL:
            _signal.signal(-status, _signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
