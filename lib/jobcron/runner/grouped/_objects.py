"""The objects of the jobs of a group: loaded for all at once, when the first of them is touched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from jobcron.database.sessions import OwnedSession
from jobcron.errors import LeavesGroup
from jobcron.jobs.lease import Claim
from jobcron.jobs.runnable import BaseRunnableJob, awaiting
from jobcron.queue.objects.awaited import AwaitedObjects, awaited_class
from jobcron.queue.views import RunnableView, SourceView


class GroupObjects(AwaitedObjects):
    """The objects of the jobs of one group.

    Args:
        source: the source of the jobs.
        claims: of the group's jobs.
        open_session: opens a session in the group's transaction.
    """

    def __init__(self, source: SourceView, claims: list[Claim], open_session: Callable[[], OwnedSession]) -> None:
        super().__init__(source, claims)
        self._open_session = open_session
        self._awaited = awaited_class(source)

    def job(self, claim: Claim, session: OwnedSession) -> RunnableView:
        """Return a job that works in a session; its objects get there when it first uses them, if possible."""
        if self._awaited is None:
            return self.owned(claim, session)
        return RunnableView(awaiting(self._awaited, partial(self._fill, claim, session)))

    def _fill(self, claim: Claim, session: OwnedSession, job: BaseRunnableJob) -> object:
        found = self.owned(claim, session).job
        if not isinstance(found, BaseRunnableJob):
            raise LeavesGroup("could not be loaded")
        job.context, job.loaded = found.context, found.loaded
        return job.context

    def _open(self) -> OwnedSession:
        return self._open_session()
