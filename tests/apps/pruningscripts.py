"""Cron scripts of an application's own: one that counts what it does, and some that remove what is old."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from typing import ClassVar

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fooapp import Ledger
from jobcron import CronScript, Pruning


class NightlyReport(CronScript):
    """Does as its argument says."""

    def main(self) -> int | None:
        """Fail, return a status, or do so many things."""
        (what,) = self.args
        if what == "raise":
            raise ValueError("no report")
        if what.startswith("status"):
            return int(what.removeprefix("status"))
        self.done = int(what)
        return None


class PruneLedger(Pruning):
    """Removes the lines of a ledger, in small batches."""

    batch_size = 3

    def prune(self, session: Session, limit: int) -> int:
        """Remove some lines."""
        old = list(session.scalars(select(Ledger.id).order_by(Ledger.id).limit(limit)))
        session.execute(delete(Ledger).where(Ledger.id.in_(old)))
        return len(old)


class Hurried(PruneLedger):
    """Has time for one batch."""

    max_runtime: ClassVar[timedelta] = timedelta(seconds=0.2)

    def prune(self, session: Session, limit: int) -> int:
        """Take long."""
        time.sleep(0.3)
        return super().prune(session, limit)


class Stopped(PruneLedger):
    """Is asked to stop during its first batch."""

    def prune(self, session: Session, limit: int) -> int:
        """Remove some lines, and get a signal meanwhile."""
        os.kill(os.getpid(), signal.SIGTERM)
        return super().prune(session, limit)


class Failing(PruneLedger):
    """Fails in its second batch, after it has removed some lines."""

    def prune(self, session: Session, limit: int) -> int:
        """Remove some lines."""
        count = super().prune(session, limit)
        if self.done:
            raise ValueError("the second batch")
        return count


class Silent(PruneLedger):
    """Forgets to say how many it was."""

    def prune(self, session: Session, limit: int) -> int:
        """Remove some lines."""
        super().prune(session, limit)
        return None  # type: ignore[return-value]


if __name__ == "__main__":
    import sys

    globals()[sys.argv.pop(1)](name="nightly").lock_and_run()
