"""The files of a private PostgreSQL server: create them, run programs on them, remove them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from jobcron.testing.programs import find_programs, server_account, server_environment

# Waits for a line from us, which says that everything was cleaned up properly. An end of file
# without it says that every process with the other end of the pipe has died. (Watching our
# process id instead fails: another user's `kill -0` is refused, and ids are reused.) Removal is
# retried because an initdb may still be writing.
_WATCHER = """
read -r _ && exit
"$1/pg_ctl" stop -D "$2/data" -m immediate
for _ in 1 2 3 4 5; do rm -rf "$2" && exit; sleep 1; done
"""

_INITDB_OPTIONS = (
    *("--auth-local", "trust", "--auth-host", "scram-sha-256"),
    *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
)


class Cluster:
    """A directory with a server's data, its log and its socket, accessible to the server's account only.

    A watching process stops the server and removes the directory if this process is killed.

    Args:
        place: the directory in which to create it.

    Raises:
        ServerNotFound: this machine has no PostgreSQL programs.
    """

    def __init__(self, place: str | Path) -> None:
        self._programs = find_programs()
        self._account = server_account()
        self.directory = Path(tempfile.mkdtemp(prefix="jobcron-pg-", dir=place))
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self._secret = self.directory / "password"
        self.log.touch()
        self._hand_over(self.directory)
        self._hand_over(self.log)
        self._watcher = self._start_watcher()

    def start_initdb(self, superuser: str, password: str) -> subprocess.Popen[bytes]:
        """Start the program that creates the data; call `forget_password` after its end."""
        # The socket's directory is closed to others; at 127.0.0.1 anybody on the machine may try to connect.
        self._secret.touch(mode=0o600)
        self._secret.write_text(password)
        self._hand_over(self._secret)
        files = ("--pwfile", str(self._secret), "--pgdata", str(self.data))
        return self.popen("initdb", "--username", superuser, *files, *_INITDB_OPTIONS)

    def forget_password(self) -> None:
        """Remove the superuser's password from the directory."""
        self._secret.unlink()

    def popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of PostgreSQL's programs, as the server's user, writing to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self._programs / program, *arguments],
                cwd=self.directory,
                env=server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A separate session: Ctrl-C ends the tests, and these end the server.
                start_new_session=True,
                **self._account,
            )

    def remove(self) -> None:
        """Remove the directory once no program uses it, and end the watcher."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self._watcher.communicate(b"closed\n")

    def _hand_over(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account["user"], self._account["group"])

    def _start_watcher(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["sh", "-c", _WATCHER, "jobcron-pg-watcher", self._programs, self.directory],
            cwd="/",
            env=server_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._account,
        )
