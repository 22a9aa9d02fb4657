"""A thread that renews the lease of a section while a process runs the section's jobs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.trouble import first_line
from jobcron.errors import DatabaseUnavailable, LockHeld
from jobcron.jobs.lease import SectionLease
from jobcron.runner.surroundings import real

AGAIN_SECONDS = 1.0
"""How soon a renewal is tried again that failed."""

STOP_SECONDS = 2.0
"""How long the end of a run waits for a renewal that is under way."""


@contextmanager
def renewed(database: TransactionSource, lease: SectionLease | None, logger: logging.Logger) -> Iterator[None]:
    """Renew a section's lease inside the block; None: the section needs none.

    Raises:
        LockHeld: another run has it by the end of the block.
    """
    if lease is None:
        yield
        return
    renewal = _Renewal(database, lease, logger)
    renewal.start()
    try:
        yield
    finally:
        renewal.stop()
    if lease.is_lost:
        raise LockHeld(
            f"the run has lost the lock of section {lease.section} in the database, and has started no more jobs: "
            "its lease could not be renewed in time, and another run may have it"
        )


class _Renewal:
    def __init__(self, database: TransactionSource, lease: SectionLease, logger: logging.Logger) -> None:
        self._database = database.companion()
        self._lease = lease
        self._logger = logger
        self._is_over = real.allocate_lock()
        self._thread = real.Thread(self._work)

    def start(self) -> None:
        """Renew the lease if that is due, and go on in the thread."""
        self._is_over.acquire()
        if self._lease.renew_in <= 0:  # the import of the application may have taken long
            self._renew()
        self._thread.start()

    def stop(self) -> None:
        """Renew it no longer."""
        self._is_over.release()
        self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        wait = self._lease.renew_in
        try:
            while not self._is_over.acquire(timeout=max(0.0, wait)):
                is_renewed = self._renew()
                if is_renewed is None:
                    return
                wait = self._lease.renew_in if is_renewed else AGAIN_SECONDS
        finally:
            self._database.close()

    def _renew(self) -> bool | None:
        """Renew the lease; return False if it is to be tried again soon, None if another run has it."""
        sent = self._lease.clock()
        try:
            with self._database.begin() as connection:
                is_ours = self._lease.renew(connection)
        except Exception as error:
            expected = isinstance(error, DBAPIError | DatabaseUnavailable)
            text = "The lock of section %s in the database could not be renewed now: %s"
            level = logging.DEBUG if expected else logging.WARNING
            self._logger.log(level, text, self._lease.section, first_line(error))
            return False
        if not is_ours:
            return None
        self._lease.renewed(sent)
        return True
