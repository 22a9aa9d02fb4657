"""The groups of a run: when jobs share a transaction, and how many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from jobcron.database.sessions import hears_commits
from jobcron.database.tables import JobTypeRow
from jobcron.database.trouble import first_line
from jobcron.errors import DatabaseUnavailable, LeavesGroup
from jobcron.queue.feed import Feed
from jobcron.queue.type_feed import TypeFeed
from jobcron.reports.logs import NO_OOPS
from jobcron.runner.grouped import _pace
from jobcron.runner.grouped._checks import hears_ends
from jobcron.runner.grouped._group import EndedJob as EndedJob
from jobcron.runner.grouped._group import Group, Result
from jobcron.runner.grouped._group import GroupWork as GroupWork
from jobcron.runner.grouped._pace import GROUP_JOBS, Pace
from jobcron.runner.grouped._sessions import GroupSessions
from jobcron.runner.grouped.runs import GroupRun

LARGE_BATCH = 100
"""A section's smaller ``batch_size`` limits its groups as well; this is its default."""


class NoGroups:
    """A stand-in for the groups of a run in which each job has a transaction of its own."""

    def run(self) -> bool:
        """Do nothing, and return False."""
        return False

    def end(self) -> None:
        """Do nothing."""


class Groups(NoGroups):
    """Runs the jobs of one class in groups.

    Args:
        work: what they work with.
        feed: tells whether jobs are in channels.
        largest: the most jobs of a group.
        count: returns how many jobs this run has ended.
        ended: called with each job that was completed.
    """

    def __init__(
        self,
        work: GroupWork,
        feed: TypeFeed,
        largest: int,
        count: Callable[[], int],
        ended: Callable[[EndedJob], None],
    ) -> None:
        self._work = work
        self._feed = feed
        self._count = count
        self._on_ended = ended
        self._pace = Pace(largest)
        self._sessions = GroupSessions(work.context.database)
        self._row: GroupRun | None = None
        self._type_id: int | None = None
        self._is_off = False
        self._has_told = False

    def run(self) -> bool:
        """Run a group; return False if none was run, so that jobs have to run one by one now."""
        if self._is_off:
            return False
        if self._feed.has_channels or self._pace.is_alone(self._count()) or self._is_heard():
            self._end_row()  # a job may take longer than its lease
            return False
        if not self._may_begin():
            return False
        self._work.guard.before_claim(self._work.must_stop)
        assert self._type_id is not None
        result = Group(self._work, self._sessions, self._type_id, self._pace.size).run()
        if result.error is not None:
            self._failed(result, result.error)
            return True
        for ended in result.ended:
            self._on_ended(ended)
        if len(result.ended) == 1 and result.ended[0].seconds >= _pace.GROUP_SECONDS:
            self._pace.failed(self._count(), 1)  # such jobs gain nothing, and hold locks
        elif result.ended:
            self._pace.succeeded(len(result.ended), is_cut=result.is_cut)
        return bool(result.ended)

    def end(self) -> None:
        """End the run's row."""
        self._sessions.close()
        self._end_row()

    def _end_row(self) -> None:
        if self._row is not None:
            with suppress(DBAPIError, DatabaseUnavailable):  # its lease ends
                self._row.end()

    def _is_heard(self) -> bool:
        """Return whether the application listens to the ends of transactions; this may change at any time."""
        shared = self._work.context.sessions.shared
        return hears_commits(shared) or hears_ends(shared)

    def _may_begin(self) -> bool:
        """Renew this run's row if that is due; if another run has died, let jobs run one by one for a while."""
        try:
            if self._row is None:
                self._row = self._new_row()
            if self._row is None or not self._row.is_due or not self._row.sign():
                return self._row is not None
        except (DBAPIError, DatabaseUnavailable) as error:
            text = "Jobs do not share transactions in this run, since its row cannot be written: %s"
            self._work.context.logger.warning(text, first_line(error), extra=NO_OOPS)
            self._is_off = True
            return False
        self._work.context.logger.info(
            "A run whose jobs share transactions has died: jobs run one by one for a while."
        )
        self._pace.run_alone(self._count(), GROUP_JOBS)
        return False

    def _new_row(self) -> GroupRun | None:
        context, claimant = self._work.context, self._work.claimant
        with context.database.begin(writing=False) as connection:
            known = select(JobTypeRow.id).where(JobTypeRow.name == context.source.type_name)
            self._type_id = connection.scalar(known)
        if self._type_id is None:
            return None
        return GroupRun(context.database, self._type_id, claimant.name, claimant.gone)

    def _failed(self, result: Result, error: BaseException) -> None:
        self._pace.failed(self._count(), result.begun)
        reason = (
            f"a job {error}" if isinstance(error, LeavesGroup) else f"{type(error).__name__}: {first_line(error)}"
        )
        text = "A group of %s jobs was rolled back, and they run one by one: %s"
        log = self._work.context.logger.debug if self._has_told else self._work.context.logger.info
        log(text, result.begun, reason)
        self._has_told = True


def groups_for(
    work: GroupWork,
    feed: Feed,
    batch_size: int,
    count: Callable[[], int],
    ended: Callable[[EndedJob], None],
) -> NoGroups:
    """Return the groups of a run, or a stand-in if its jobs cannot share transactions.

    Args:
        work: what they work with.
        feed: hands out jobs in the usual way; only one that claims by type goes with groups.
        batch_size: the section's.
        count: returns how many jobs this run has ended.
        ended: called with each job that was completed.
    """
    context = work.context
    largest = GROUP_JOBS if batch_size >= LARGE_BATCH else batch_size
    if not isinstance(feed, TypeFeed) or context.database.is_ambient or largest == 1:
        return NoGroups()
    if not context.source.commits_in_groups:
        return NoGroups()
    return Groups(work, feed, largest, count, ended)
