"""Claims on jobs: a job's number and the token of its lease."""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from typing import NamedTuple

from jobcron.errors import ConfigurationError, LeaseLost
from jobcron.interfaces import MAX_LEASE_SECONDS

_CLAIMANT = re.compile(r"(?P<host>.+):(?P<pid>\d+)(?:/[0-9a-f]+)?")


class Tenure(NamedTuple):
    """What is known of the lock under which a run claims jobs.

    Attributes:
        name: the name under which it claims.
        gone: the names of runs that are over, since they held the same lock before: their jobs are taken over.
        lock: the descriptor of the lock, for processes that work for this run; None: there is none.
    """

    name: str
    gone: tuple[str, ...] = ()
    lock: int | None = None


def close_in_forks(descriptor: int) -> None:
    """Close a descriptor, such as that of a lock, in each process that this one forks.

    A fork of a fork closes nothing: the number may be that of another file there, and so it may be if a job has
    closed the descriptor.
    """
    left = [descriptor]
    status = os.fstat(descriptor)

    def close() -> None:
        while left:
            number = left.pop()
            with suppress(OSError):
                if os.path.samestat(os.fstat(number), status):
                    os.close(number)

    os.register_at_fork(after_in_child=close)


class Claim(NamedTuple):
    """A job that this runner has claimed.

    Attributes:
        id: the job's number.
        token: the fencing token of the claim.
        taken: when its lease began, or a little earlier, by the monotonic clock, in seconds.
        is_from_gone: whether it was taken over from a process that is known to be gone.
    """

    id: int
    token: int
    taken: float = 0.0
    is_from_gone: bool = False

    def __str__(self) -> str:
        return f"job {self.id}"


def lost(claim: Claim) -> LeaseLost:
    """Return the error for a job that is no longer ours."""
    return LeaseLost(f"job {claim.id} is not held under lease token {claim.token} any more")


def lease_of(source: str, seconds: float) -> float:
    """Return the length of a source's leases.

    Args:
        source: its name, for the message.
        seconds: as its class says.

    Raises:
        ConfigurationError: no lease may be so long; a job whose process died would wait for its end.
    """
    if not 0 < seconds <= MAX_LEASE_SECONDS:
        raise ConfigurationError(
            f"expected the lease_duration of {source} to be more than 0 and at most {MAX_LEASE_SECONDS:.0f} "
            f"seconds, got {seconds:g}"
        )
    return seconds


def worker_name() -> str:
    """Return the name of the process that claims: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Process(NamedTuple):
    """The process that claims under a name, as the name tells.

    Attributes:
        host: its host.
        pid: its number there.
    """

    host: str
    pid: int

    @property
    def is_missing(self) -> bool:
        """Whether this is its host, and has no such process: it has died. A new one may have got its number."""
        is_here = self.host == os.uname().nodename and os.path.exists("/proc/self")
        return is_here and not os.path.exists(f"/proc/{self.pid}")


def process_of(name: str | None) -> Process | None:
    """Return the process of a name; None: the name is not one that we make."""
    found = _CLAIMANT.fullmatch(name or "")
    return None if found is None else Process(found["host"], int(found["pid"]))
