"""The objects of a batch of jobs: loaded for all at once, when the first of them is touched.

A job that touches none of them costs nothing but its claim and its completion.
"""

# why: decisions 2026-11-30, a job's objects are loaded when it touches them

from __future__ import annotations

import os
from _thread import RLock
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy.exc import DBAPIError, PendingRollbackError

from jobcron.database.database import TransactionSource
from jobcron.database.sessions import ATTEMPT, WRITTEN, OwnedSession, adopt, is_untouched, note_values
from jobcron.database.trouble import follows_trouble
from jobcron.jobs.arguments.document import follow_all
from jobcron.jobs.lease import Claim, Known
from jobcron.jobs.runnable import BaseRunnableJob, awaiting
from jobcron.queue._stand_ins import Unloadable
from jobcron.queue.loading import Claimed, Objects, load_all, load_claimed
from jobcron.queue.objects.detaching import detached, refers_to
from jobcron.queue.views import RunnableView, SourceView

MAKING = frozenset({"__new__", "__setattr__", "attempt", "context", "load", "loaded"})
"""What a class may not have of its own if its jobs are to be made before they are loaded, besides ``__init__``."""


def awaited_class(source: SourceView) -> type[BaseRunnableJob] | None:
    """Return the class of jobs that can be made before they are loaded; None if it makes or loads them itself."""
    found = source.source
    if not (isinstance(found, type) and issubclass(found, BaseRunnableJob)):
        return None
    others = (base for base in found.__mro__[:-1] if not base.__module__.startswith("jobcron.jobs."))
    is_usual = found.__init__ is BaseRunnableJob.__init__ and all(MAKING.isdisjoint(vars(base)) for base in others)
    return found if is_usual else None


class AwaitedObjects(ABC):
    """The objects of the jobs of one batch.

    Args:
        source: the source of the jobs.
        claims: of the batch's jobs.
    """

    def __init__(self, source: SourceView, claims: list[Claim]) -> None:
        self._source = source
        self._claims = claims
        self._loaded: dict[int, Claimed] | None = None

    def owned(self, claim: Claim, session: OwnedSession) -> RunnableView:
        """Return a job whose objects are in a session.

        Nothing is trusted that was read before the job's own statements, or that a job before it has changed. What
        the job has begun in the session stays as it is: nothing of it is written, ended or overwritten.
        """
        found = self._all().pop(claim.id, None) if self._may_share(session) else None
        written: set[object] = session.info.get(WRITTEN) or set()
        if found is None or found.objects is not Objects.OWN or (written and refers_to(found, written)):
            return self._load(claim, session)
        adopt(session, found.rows)
        follow_all(session)
        note_values(session)
        return found.job

    def _may_share(self, session: OwnedSession) -> bool:
        """Return whether the job may use objects that are read for the whole batch, and may be their reader."""
        return not session.in_transaction()

    def _load(self, claim: Claim, session: OwnedSession) -> RunnableView:
        """Load a job alone in the session of its attempt; write nothing that the job has only begun to make."""
        with session.no_autoflush:
            return load_claimed(self._source, session, claim, is_to_begin=False).job

    def _all(self) -> dict[int, Claimed]:
        """Return the jobs whose objects are in no session of an attempt yet."""
        if self._loaded is None:
            entries = self._read(lambda session: load_all(self._source, session, self._claims))
            self._loaded = {entry.claim.id: entry for entry in entries}
        return self._loaded

    def _read(self, load: Callable[[OwnedSession], list[Claimed]]) -> list[Claimed]:
        """Return the jobs that `load` loads in a session, with objects that are in none."""
        session = self._open()
        try:
            entries = detached(session, load(session))
            session.commit()
        except BaseException:
            session.invalidate()  # a signal may have come in the middle of anything
            raise
        finally:
            session.close()
        return entries

    @abstractmethod
    def _open(self) -> OwnedSession:
        """Open a session to read jobs in."""


@contextmanager
def _outside_attempt(session: OwnedSession) -> Iterator[None]:
    """Do not count what a session does inside the block as work of its job."""
    attempt = session.info.pop(ATTEMPT, None)
    try:
        yield
    finally:
        session.info[ATTEMPT] = attempt


class BatchObjects(AwaitedObjects):
    """The objects of jobs that have transactions of their own.

    Args:
        source: the source of the jobs.
        database: the database of the jobs.
        known: the jobs, and what is known of them.
    """

    def __init__(self, source: SourceView, database: TransactionSource, known: Known) -> None:
        super().__init__(source, list(known))
        self._database = database
        self._known = known
        self._served: tuple[Claim, OwnedSession] | None = None
        self._shown: Claimed | None = None
        self._taken_before = 0
        self._lock = RLock()
        self._process = os.getpid()

    def entries(self, job_class: type[BaseRunnableJob]) -> list[Claimed]:
        """Return the jobs, which are not loaded yet."""
        found = []
        for claim, facts in self._known.items():
            job = awaiting(job_class, partial(self._fill, claim))
            found.append(Claimed(claim, RunnableView(job), Objects.AWAITED, facts, self))
        return found

    def serve(self, claim: Claim, session: OwnedSession) -> None:
        """See `Batch`."""
        self._served, self._taken_before = (claim, session), self._database.connections_taken

    def _fill(self, claim: Claim, job: BaseRunnableJob) -> object:
        """Return the row of a job that is touched; keep it for the next time, if its own thread touches it.

        Another thread, and a process that the job has forked, get objects in no session, to read what is loaded.
        """
        with self._lock:
            session = self._session_of(claim)
            try:
                found = self._seen(claim) if session is None else self.owned(claim, session).job
            except (DBAPIError, PendingRollbackError) as error:
                if not follows_trouble(error):
                    raise
                session, found = None, self._seen(claim)  # to tell of the failure, until it is undone
            if isinstance(found, Unloadable):
                raise found.error
            assert isinstance(found, BaseRunnableJob)
            if session is not None:
                job.context, job.loaded = found.context, found.loaded
            return found.context

    def _session_of(self, claim: Claim) -> OwnedSession | None:
        """Return the session of a job's attempt, if the present thread may use it."""
        if self._served is None or self._served[0] != claim or os.getpid() != self._process:
            return None
        session = self._served[1]
        return session if session.is_ours else None

    def _seen(self, claim: Claim) -> object:
        """Return a job with objects that are in no session: never those that the job itself will get."""
        if self._shown is None or self._shown.claim != claim:
            load = partial(load_claimed, self._source, claim=claim, is_to_begin=False)
            self._shown = self._read(lambda session: [load(session)])[0]
        return self._shown.job.job

    def _may_share(self, session: OwnedSession) -> bool:
        """See the base class: not once the job has had a connection, or has objects in its session already.

        What it may have left there must not choose the rows of others. A transaction of which the database knows
        nothing yet is none.
        """
        if self._database.connections_taken != self._taken_before or len(session.identity_map):
            return False
        return session.get_nested_transaction() is None

    def _load(self, claim: Claim, session: OwnedSession) -> RunnableView:
        if not is_untouched(session):
            return super()._load(claim, session)  # in the job's transaction
        with _outside_attempt(session):
            try:
                found = super()._load(claim, session)
                session.commit()  # the job begins its own transaction
            except Exception:
                session.rollback()
                raise
        return found

    def _open(self) -> OwnedSession:
        if os.getpid() != self._process and self._database.engine is not None:
            self._database.engine.dispose(close=False)  # its connections are the other process's
        return self._database.session(writing=False)
