"""The objects of the jobs of a group: loaded for all at once, when the first of them is touched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from jobcron.database.sessions import ATTEMPT, OwnedSession
from jobcron.errors import LeavesGroup
from jobcron.jobs.arguments.document import follow_all
from jobcron.jobs.lease import Claim
from jobcron.jobs.runnable import BaseRunnableJob, awaiting
from jobcron.queue.detaching import detached, refers_to
from jobcron.queue.loading import Claimed, Objects, load_all, load_claimed
from jobcron.queue.views import RunnableView, SourceView


class GroupObjects:
    """The objects of the jobs of one group.

    Args:
        source: the source of the jobs.
        claims: of the group's jobs.
        open_session: opens a session in the group's transaction.
        written: the identities of the rows that jobs of the group have written through their objects.
    """

    def __init__(
        self,
        source: SourceView,
        claims: list[Claim],
        open_session: Callable[[], OwnedSession],
        written: set[object],
    ) -> None:
        self._source = source
        self._claims = claims
        self._open_session = open_session
        self._written = written
        self._awaited = awaited_class(source)
        self._loaded: dict[int, Claimed] | None = None

    def job(self, claim: Claim, session: OwnedSession) -> RunnableView:
        """Return a job that works in a session; its objects get there when it touches them, if it can wait."""
        if self._awaited is None:
            return self._owned(claim, session)
        return RunnableView(awaiting(self._awaited, partial(self._fill, claim, session)))

    def check_code(self, job: RunnableView, *, is_bare: bool) -> None:
        """Let a job check its code; where its row is known to name nothing, it is not loaded for that.

        Raises:
            MissingCode: the code lacks what the row names.
        """
        if not is_bare or self._awaited is None or self._awaited.check_code is not BaseRunnableJob.check_code:
            job.check_code()

    def _fill(self, claim: Claim, session: OwnedSession, job: BaseRunnableJob) -> None:
        found = self._owned(claim, session).job
        if not isinstance(found, BaseRunnableJob):
            raise LeavesGroup("could not be loaded")
        job.context, job.loaded = found.context, found.loaded

    def _owned(self, claim: Claim, session: OwnedSession) -> RunnableView:
        """Return a job whose objects are in a session.

        Nothing is trusted that was read before the job's own statements, or that a job before it has changed.
        """
        if not session.in_transaction():
            claimed = self._all()[claim.id]
            if claimed.objects is Objects.OWN and not (self._written and refers_to(claimed, self._written)):
                self._move(claimed.job.rows(), session)
                return claimed.job
        return load_claimed(self._source, session, claim).job

    def _move(self, rows: list[object], session: OwnedSession) -> None:
        """Move objects to a job's session, which is in no transaction afterwards either."""
        attempt = session.info.pop(ATTEMPT, None)
        session.add_all(rows)
        follow_all(session)
        session.commit()  # sends nothing
        session.info[ATTEMPT] = attempt

    def _all(self) -> dict[int, Claimed]:
        if self._loaded is None:
            session = self._open_session()
            entries = detached(session, load_all(self._source, session, self._claims))
            session.close()
            self._loaded = {entry.claim.id: entry for entry in entries}
        return self._loaded


def awaited_class(source: SourceView) -> type[BaseRunnableJob] | None:
    """Return the class of jobs that can be made before they are loaded; None: it makes or loads them itself."""
    found = source.source
    if not (isinstance(found, type) and issubclass(found, BaseRunnableJob)):
        return None
    is_usual = found.__init__ is BaseRunnableJob.__init__ and "load" not in {
        name for base in found.__mro__ if not base.__module__.startswith("jobcron.jobs.") for name in vars(base)
    }
    return found if is_usual else None
