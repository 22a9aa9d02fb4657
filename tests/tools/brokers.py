"""Private message brokers, RabbitMQ and Redis, on free ports and in folders of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path

from kombu.connection import Connection

from jobcron.testing.programs import server_account

START_SECONDS = 90.0
"""How long a broker may take to answer: RabbitMQ needs seconds even on a quiet machine."""


def free_port() -> int:
    """Return the number of a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def program(name: str, package: str) -> str:
    """Return the path of a program.

    Raises:
        RuntimeError: it is not installed.
    """
    folders = f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}:/usr/sbin"
    found = shutil.which(name, path=folders)
    if found is None:
        raise RuntimeError(f"{name} is missing: on Debian and Ubuntu apt-get install {package}")
    return found


class Broker(ABC):
    """A broker that runs as another account than root.

    Attributes:
        port: where it listens.
        folder: where its files are.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="jobcron-broker-", dir="/tmp"))
        if account := server_account():
            os.chown(self.folder, account["user"], account["group"])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL for Celery."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program and its arguments."""

    def environment(self) -> dict[str, str]:
        """Return its environment."""
        return {"HOME": str(self.folder), "PATH": f"{os.environ['PATH']}:/usr/sbin", "LC_ALL": "C.UTF-8"}

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **server_account(),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the broker does not answer:\n{(self.folder / 'output').read_text()}")
            time.sleep(0.1)

    def answers(self) -> bool:
        """Return whether it accepts a client."""
        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.connect()
        except Exception:  # of the client's library, which has many
            return False
        return True

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it, and remove its files."""
        self.kill()
        shutil.rmtree(self.folder)


class RabbitMQ(Broker):
    """A private RabbitMQ; what it has survives `kill` and `start`."""

    def __init__(self) -> None:
        self._server = program("rabbitmq-server", "rabbitmq-server")
        super().__init__()
        self._names_port, self._nodes_port = free_port(), free_port()

    @property
    def url(self) -> str:
        """The URL for Celery."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def command(self) -> list[str]:
        """Return the program."""
        return [self._server]

    def environment(self) -> dict[str, str]:
        """Return its environment: names, ports and folders that no other has."""
        return {
            **super().environment(),
            "RABBITMQ_NODENAME": f"jobcron{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._nodes_port),
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",  # so that it can be ended whatever it still knows
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none-env"),
            # One scheduler that does not spin: the tests share few processors.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def close(self) -> None:
        """End it, and the daemon that Erlang has started for its names."""
        environment = self.environment()
        self.kill()
        subprocess.run(["epmd", "-kill"], env=environment, capture_output=True, check=False)
        shutil.rmtree(self.folder)


class Redis(Broker):
    """A private Redis, which keeps nothing on disk."""

    def __init__(self) -> None:
        self._server = program("redis-server", "redis-server")
        super().__init__()

    @property
    def url(self) -> str:
        """The URL for Celery."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        port = ["--port", str(self.port), "--bind", "127.0.0.1"]
        return [self._server, *port, "--save", "", "--appendonly", "no", "--dir", str(self.folder)]
