"""An attempt at a job whose transaction is shared with others."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from sqlalchemy import Connection

from jobcron.errors import LeavesGroup
from jobcron.jobs.lease import Claim
from jobcron.jobs.status import OwnMove
from jobcron.runner.attempt import Attempt


class GroupedAttempt:
    """A running job of a group; if it needs a transaction of its own, it leaves the group and runs again.

    Args:
        claim: the job's number, and the token of the attempt.
        watch: the attempt that the keeper looks after, of the whole group.

    Attributes:
        claim: see above.
        progress: per cent done, as set by the job.
        breach: what the job did that it may only do in a transaction of its own; empty: nothing.
    """

    has_moved = False

    def __init__(self, claim: Claim, watch: Attempt) -> None:
        self.claim = claim
        self.progress: int | None = None
        self.breach = ""
        self._watch = watch

    @property
    def token(self) -> int:
        """The fencing token: each attempt whose work is committed has a greater one."""
        return self.claim.token

    @property
    def interrupted(self) -> BaseException | None:
        """The error that stopped the job, or None."""
        return self._watch.interrupted

    @property
    def must_stop(self) -> Callable[[], bool]:
        """Returns whether the run was asked to stop."""
        return self._watch.must_stop

    @property
    def parameters(self) -> dict[str, object]:
        """See `Fenced`."""
        return {"id": self.claim.id, "token": self.token, "progress": self.progress}

    def note_progress(self, percent: int | None) -> None:
        """Record the job's progress; it is written when the group ends."""
        self.progress = percent

    def checkpoint(self) -> None:
        """See `RunningAttempt`.

        Raises:
            LeavesGroup: always.
        """
        self._leave("called checkpoint()")

    def end_task(self) -> None:
        """See `RunningAttempt`.

        Raises:
            LeavesGroup: always.
        """
        self._leave("ended a task")

    def keep_steps(self, steps: Callable[[bool], dict[str, object]]) -> None:
        """See `RunningAttempt`.

        Raises:
            LeavesGroup: always.
        """
        self._leave("has tasks")

    def end_as(self, move: OwnMove) -> None:
        """Refuse a request of the job for another status: it needs a transaction of its own.

        Raises:
            LeavesGroup: always.
        """
        self._leave(f"moved itself to {move.status.title}")

    def committed(self) -> None:
        """Refuse a commit by the job: it needs a transaction of its own.

        Raises:
            LeavesGroup: always.
        """
        self._leave("committed")

    def steps(self, connection: Connection, *, is_end: bool) -> object:
        """See `Fenced`."""
        return None

    def needs_fence(self, connection: Connection) -> bool:
        """See `Fenced`: the lock of the row is the fence."""
        return False

    def has_deleted_its_row(self, connection: Connection) -> bool:
        """See `Fenced`."""
        return False

    def transaction_began(self, connection: Connection) -> None:
        """See `Fenced`: the keeper knows the connection already."""

    def transaction_failed(self, connection: Connection | None, error: BaseException) -> None:
        """See `Fenced`."""

    def _leave(self, what: str) -> NoReturn:
        self.breach = what
        raise LeavesGroup(what)
