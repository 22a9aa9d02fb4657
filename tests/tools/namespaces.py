"""Hosts in network namespaces, with a cable that can be cut and a clock of their own, and one database.

The network needs root, and Debian's package iproute2; the clock needs a kernel with time namespaces. Without them
the tests fail.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url

from instances import Instance
from jobcron.testing.server import PrivatePostgreSQL
from paths import APPS, JOBCRON


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=60)


class Network:
    """A namespace with one cable to the rest of the machine.

    Args:
        number: which host of this process it is; it is part of the addresses.
        server: the database's server.

    Attributes:
        name: of the namespace.
        address: where the database is seen in it.
    """

    def __init__(self, number: int, server: PrivatePostgreSQL) -> None:
        assert os.geteuid() == 0, "hosts with a network of their own need root"
        assert shutil.which("ip"), "expected the program ip; on Debian: apt-get install iproute2"
        self.name = f"jc{os.getpid()}x{number}"
        self._cable = f"jc{os.getpid() % 100000}{number}a"
        # 198.18.0.0/15 is set aside for tests between networks.
        net = f"198.{18 + os.getpid() // 256 % 2}.{os.getpid() % 256}."
        self.address, own = f"{net}{4 * number + 1}", f"{net}{4 * number + 2}"
        peer = self._cable[:-1] + "b"
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", peer, "netns", self.name)
            _ip("addr", "add", f"{self.address}/30", "dev", self._cable)
            _ip("link", "set", self._cable, "up")
            _ip("-n", self.name, "addr", "add", f"{own}/30", "dev", peer)
            _ip("-n", self.name, "link", "set", peer, "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
            self._listener = socket.create_server((self.address, 0))
        except BaseException:
            self.close()
            raise
        self.port: int = self._listener.getsockname()[1]
        self._server = server
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url: str) -> str:
        """Return the URL of a database as it is reached over the cable, given its URL."""
        there = make_url(self._server.tcp_url(str(make_url(url).database)))
        return there.set(host=self.address, port=self.port).render_as_string(hide_password=False)

    def cut(self) -> None:
        """Cut the cable: nobody hears anything any more, not even that it was cut."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """Plug the cable in again."""
        _ip("link", "set", self._cable, "up")

    def close(self) -> None:
        """Remove the namespace, and its cable with it."""
        with suppress(AttributeError):
            self._listener.close()
        subprocess.run(["ip", "link", "del", self._cable], check=False, capture_output=True, timeout=60)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True, timeout=60)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server.port))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=_carry, args=ends, daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class SeparateHost(Instance):
    """A host: an instance in a network of its own, with a clock of its own.

    Args:
        path: its directory.
        url: the database's URL, as the tests reach it.
        network: the host's.
        clock: how many seconds its clock is ahead.
    """

    def __init__(self, path: Path, url: str, network: Network, clock: int) -> None:
        self.network = network
        self._clock = clock
        super().__init__(path, url)

    def configure(self, more: str = "", sections: str = "") -> None:
        """Write the configuration, with the URL of the host."""
        super().configure(more, sections)
        path = self.path / "jobcron.conf"
        assert self.url in path.read_text()
        path.write_text(path.read_text().replace(self.url, self.network.url(self.url)))

    def start(self, section: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a run on the host; its standard error is a pipe."""
        path = os.pathsep.join([str(APPS / "shifted"), *filter(None, [os.environ.get("PYTHONPATH")])])
        clock = {"CLOCK_AHEAD": str(self._clock), "PYTHONPATH": path}
        environment = {**os.environ, "JOBCRON_CONFIG": str(self.path), **clock}
        command = ["nsenter", f"--net=/run/netns/{self.network.name}"]
        # The clocks that run since the machine started; that of the day is set by `shifted/sitecustomize.py`.
        command += ["unshare", "--time", f"--monotonic={self._clock}", f"--boottime={self._clock}"]
        command += ["--fork", "--kill-child", str(JOBCRON), "run", section, *arguments]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@contextmanager
def separate_hosts(
    first: Instance, server: PrivatePostgreSQL, sections: str, clocks: tuple[int, ...]
) -> Iterator[list[SeparateHost]]:
    """Return hosts that share the database of an instance.

    Args:
        first: the instance.
        server: its database's server.
        sections: the sections of each host.
        clocks: by how many seconds the clock of each is ahead.
    """
    with ExitStack() as stack:
        hosts = []
        for number, clock in enumerate(clocks):
            network = Network(number, server)
            stack.callback(network.close)
            host = SeparateHost(first.path.with_name(f"host-{number}"), first.url, network, clock)
            stack.callback(host.database.close)
            host.configure(sections=sections)
            hosts.append(host)
        yield hosts
