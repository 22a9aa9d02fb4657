"""Leases: claims on jobs, each with a token; and the lease of a section, which one run holds on all hosts."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from jobcron.database.clock import UtcDateTime
from jobcron.database.statements import execute
from jobcron.database.tables import Base
from jobcron.errors import ConfigurationError, LeaseLost
from jobcron.interfaces import MAX_LEASE_SECONDS

MARGIN_SECONDS = 2.0
"""At least so long before a section's lease ends, or a sixth of the lease, its run ends what it does.

The keeper looks once a second whether it is lost.
"""

CLOCK = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC
"""A clock that goes on while the machine sleeps, where there is one."""

_CLAIMANT = re.compile(r"(?P<host>.+):(?P<pid>\d+)(?:/[0-9a-f]+)?")


class LockRow(Base):
    """The lock of a section with ``lock: cluster``; `place` is the lock file of its last holder, for fair turns.

    `token` grows each time it is taken. Without `lease_expires` it was released.
    """

    __tablename__ = "jobcron_lock"
    # Whoever takes the lock changes a key, and waits for FOR KEY SHARE; whoever renews it does not.
    __table_args__ = (UniqueConstraint("section", "token", name="jobcron_lock_token"),)

    section: Mapped[str] = mapped_column(Text, primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger)
    holder: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(Text)
    taken: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_expires: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LockWishRow(Base):
    """That the runs of a place found a section's lock taken, and since when they have wished for it."""

    __tablename__ = "jobcron_lock_wish"

    section: Mapped[str] = mapped_column(Text, primary_key=True)
    place: Mapped[str] = mapped_column(Text, primary_key=True)
    wished: Mapped[datetime] = mapped_column(UtcDateTime)


class SectionLease:
    """The lease of a section's lock in the database, as one of its run's processes knows it.

    Args:
        section: the section's name.
        token: the token under which the lock was taken.
        seconds: how long the lease lasts without a renewal.
        sent: when the lock was asked for, by `SectionLease.clock`: no later than the lease began.
        is_remote: whether others may reach the database when this process cannot. On SQLite they cannot: while a
            job keeps this process from renewing the lease, nobody else can write either.

    Attributes: section, token and seconds.
    """

    clock = staticmethod(lambda: time.clock_gettime(CLOCK))

    def __init__(self, section: str, token: int, seconds: float, sent: float, *, is_remote: bool = True) -> None:
        self.section = section
        self.token = token
        self.seconds = seconds
        self._is_taken = False
        self._is_remote = is_remote
        self._trusted = seconds - max(seconds / 6, MARGIN_SECONDS)
        self._trusted_until = sent + self._trusted

    @property
    def is_lost(self) -> bool:
        """Whether another run may have the section now, or soon: this one must end what it does."""
        return self._is_taken or (self._is_remote and self.clock() >= self._trusted_until)

    @property
    def renew_in(self) -> float:
        """In how many seconds it is to be renewed: when a third of it has passed."""
        return self._trusted_until - self._trusted + self.seconds / 3 - self.clock()

    def renewed(self, sent: float) -> None:
        """Note that it was renewed by a statement that was sent at this time, and is committed."""
        self._trusted_until = max(self._trusted_until, sent + self._trusted)

    def hold(self, connection: Connection) -> bool:
        """Return whether the section is still this run's, as it will be until the transaction ends.

        Args:
            connection: in a short transaction, which takes jobs.
        """
        if not self._is_remote and self.clock() >= self._trusted_until and not self._is_taken:
            return self.renew(connection)  # a job of ours kept everybody from writing: nobody has taken it
        self._is_taken |= execute(connection, "lock_hold", self._parameters).first() is None
        return not self._is_taken

    def renew(self, connection: Connection) -> bool:
        """Renew it; return False if another run has taken it. It counts once it is committed: see `renewed`.

        Args:
            connection: in a short transaction.
        """
        renewing = execute(connection, "lock_renew", {**self._parameters, "lease_seconds": self.seconds})
        self._is_taken |= not renewing.rowcount
        return not self._is_taken

    @property
    def _parameters(self) -> dict[str, object]:
        return {"section": self.section, "token": self.token}


class Trouble(NamedTuple):
    """Why a section's lock in the database could not be asked for.

    Attributes:
        text: what the database has said, or its driver, on one line.
        is_missing_right: whether the role has no right to it; else it may go by itself.
    """

    text: str
    is_missing_right: bool


class Tenure(NamedTuple):
    """What is known of the lock under which a run claims jobs.

    Attributes:
        name: the name under which it claims.
        gone: the names of runs that are over, since they held the same lock before: their jobs are taken over.
        lock: the descriptor of the lock, for processes that work for this run; None: there is none.
        lease: that of the section's lock in the database; None: it has none, or it could not be taken.
        trouble: why it could not be; None: there was no trouble.
    """

    name: str
    gone: tuple[str, ...] = ()
    lock: int | None = None
    lease: SectionLease | None = None
    trouble: Trouble | None = None


def tenure_under(
    name: str | None, gone: tuple[str, ...], lock: int | None, lease: SectionLease | None, trouble: Trouble | None
) -> Tenure | None:
    """Return the tenure of a run; None: nothing is known of it, and its jobs' leases decide.

    Args:
        name: the name that is noted in the lock's file; None: none could be.
        gone, lock, lease, trouble: see `Tenure`.
    """
    if name is not None:
        return Tenure(name, gone, lock, lease, trouble)
    return Tenure(worker_name(), (), lock, lease, trouble) if lease is not None or trouble else None


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


class RowFacts(NamedTuple):
    """What an attempt needs of the row of a job that never killed a process.

    Attributes:
        uuid: the job's UUID.
        attempts: the number of the attempt.
        max_retries: the row's own limit, or None.
        waited: how many seconds the job was ready before it was claimed.
        is_bare: whether the row names nothing that code may lack.
    """

    uuid: UUID
    attempts: int
    max_retries: int | None
    waited: float
    is_bare: bool


Known = dict[Claim, RowFacts]
"""What is known of claimed jobs."""


def facts_of(
    uuid: object, attempts: object, crashes: object, max_retries: object, waited: object, is_bare: object
) -> RowFacts | None:
    """Return what is known of a job by its row; None: it has died before, or a value is none that we write."""
    if isinstance(attempts, int) and isinstance(max_retries, int | None) and isinstance(waited, float):
        with suppress(ValueError):
            known = RowFacts(UUID(str(uuid)), attempts, max_retries, max(0.0, waited), bool(is_bare))
            return known if crashes == 0 else None
    return None


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
