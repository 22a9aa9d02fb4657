"""What operators do to jobs: retry, cancel, postpone and the like; to one job, to several, or to a selection.

An `Act` says in which statuses a job can be moved; other jobs are refused with the reason. The jobs' histories
record what was done, by whom, and why; what is deleted has no history left, and its deletion is an act by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, case, literal

from jobcron.database.clock import UtcDateTime, database_after, database_now
from jobcron.database.database import Database
from jobcron.interfaces import JobStatus
from jobcron.jobs.arguments.row_values import check_row_values
from jobcron.jobs.hand_moves import operator_name
from jobcron.jobs.job import Job
from jobcron.jobs.moves import bulk_moves
from jobcron.jobs.moves.bulk_moves import Change, Changed, Moment, change_jobs, locked_jobs
from jobcron.jobs.moves.channels import check_channel
from jobcron.jobs.moves.undoing import keep, values_of, write_act
from jobcron.operations.listing import Count, batches, count_jobs, limited
from jobcron.operations.selection import Selection

BATCH = 500
"""How many jobs are changed in one transaction."""

GRAPH = 50_000
"""The same for a graph, so that none of its jobs begins because another one was moved before it."""

PAUSE_SECONDS = 0.05
"""How long nothing is done between two batches, so that claims are not kept waiting."""

SPREAD_STEPS = 10_007
"""Into how many moments due times are spread: a prime, so that neighbours get moments that lie apart."""


@dataclass(frozen=True)
class Act:
    """Something that can be done to jobs.

    Attributes:
        name: its name, as of the subcommand.
        change: the change of a job's row.
        usual: the statuses that are meant by a selection that names none.
        usual_of_graph: those that are meant by a graph besides.
    """

    name: str
    change: Change
    usual: tuple[JobStatus, ...]
    usual_of_graph: tuple[JobStatus, ...] = ()

    @property
    def is_undoable(self) -> bool:
        """Whether it can be undone: whatever does not delete."""
        return self.change.values is not None


@dataclass(frozen=True)
class Refusal:
    """A job that was left as it was.

    Attributes:
        job: its number.
        reason: why.
    """

    job: int
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of the jobs of a batch.

    Attributes:
        moved: the numbers of the jobs that were moved.
        refused: the others, with the reasons.
        act: the number of the act, by which it can be undone unless it deletes; None: it has none.
    """

    moved: tuple[int, ...]
    refused: tuple[Refusal, ...]
    act: int | None = None


def retry(spread: timedelta | None = None) -> Act:
    """Return the act that makes jobs run again, afresh.

    Args:
        spread: their due times are spread over so much time from now on; None: they are due at once.
    """
    change = bulk_moves.requeue(None if spread is None else _spread(spread))
    return Act("retry", change, (JobStatus.FAILED,), (JobStatus.CANCELLED, JobStatus.EXPIRED))


def resume(spread: timedelta | None = None) -> Act:
    """Return the act that makes suspended jobs wait again; see `retry`."""
    change = bulk_moves.resume(None if spread is None else _spread(spread))
    return Act("resume", change, (JobStatus.SUSPENDED,))


def cancel() -> Act:
    """Return the act that cancels jobs that have not ended; those that run can no longer commit."""
    return Act("cancel", bulk_moves.cancel(), (JobStatus.WAITING, JobStatus.SUSPENDED, JobStatus.BLOCKED))


def suspend() -> Act:
    """Return the act that puts jobs aside until they are resumed."""
    return Act("suspend", bulk_moves.suspend(), (JobStatus.WAITING,))


def set_done() -> Act:
    """Return the act that calls jobs completed that somebody has done in another way."""
    return Act("set-done", bulk_moves.set_done(), (JobStatus.FAILED,))


def postpone(by: timedelta, spread: timedelta | None = None) -> Act:
    """Return the act that makes jobs due after so much time from now, or spread over more after that.

    A job that is due later already stays as it is.
    """
    start = _spread(spread or timedelta(), by)
    later = case((Job.scheduled_start > start, Job.scheduled_start), else_=start)
    return Act("postpone", bulk_moves.set_start(later), (JobStatus.WAITING,))


def postpone_until(when: datetime) -> Act:
    """Return the act that makes jobs due at a time."""
    return Act("postpone", bulk_moves.set_start(literal(when, UtcDateTime())), (JobStatus.WAITING,))


def run_now(spread: timedelta | None = None) -> Act:
    """Return the act that makes jobs due at once, or spread over so much time; a lease taken by hand ends."""
    start = database_now() if spread is None else _spread(spread)
    return Act("run-now", bulk_moves.set_start(start), (JobStatus.WAITING,))


def set_priority(priority: int) -> Act:
    """Return the act that changes the priority of jobs that have not started; the lowest goes first.

    Raises:
        InvalidJobData: no column can hold it.
    """
    check_row_values("jobs", {"priority": priority})
    return Act("priority", bulk_moves.set_priority(priority), (JobStatus.WAITING,))


def move(queue: str) -> Act:
    """Return the act that moves jobs that have not started to another queue.

    Raises:
        InvalidJobData: it cannot be the name of a queue.
    """
    check_row_values("jobs", {"queue_name": queue})
    return Act("move", bulk_moves.set_queue(queue), (JobStatus.WAITING,))


def move_to_channel(channel: str | None) -> Act:
    """Return the act that moves jobs that have not started to another channel; None: to that of their section.

    Raises:
        ConfigurationError: no channel can have this name.
    """
    if channel is not None:
        check_channel(channel)
    return Act("move", bulk_moves.set_channel(channel), (JobStatus.WAITING,))


def delete() -> Act:
    """Return the act that deletes jobs that have ended, with their histories and their family rows."""
    return Act("delete", bulk_moves.remove(), (JobStatus.COMPLETED, JobStatus.CANCELLED, JobStatus.EXPIRED))


def _spread(over: timedelta, after: timedelta = timedelta()) -> Moment:
    """Return a moment within so much time, another one for each job, and always the same for a job."""
    steps = (Job.id * 7919) % SPREAD_STEPS
    return database_after(after.total_seconds() + over.total_seconds() * steps / float(SPREAD_STEPS))


def meant(act: Act, selection: Selection) -> Selection:
    """Return the selection that an act is about: one without statuses means the act's usual ones."""
    if selection.statuses or selection.ids:
        return selection
    return selection.with_statuses(*act.usual, *(() if selection.graph is None else act.usual_of_graph))


def count_meant(connection: Connection, act: Act, selection: Selection) -> Count:
    """Count the jobs that an act on a selection is about, as `count_jobs` does."""
    return count_jobs(connection, meant(act, selection))


def act_on_jobs(
    connection: Connection,
    act: Act,
    job_ids: Sequence[int],
    *,
    actor: str | None = None,
    reason: str | None = None,
) -> Outcome:
    """Do something to jobs, in the caller's transaction.

    Args:
        connection: in a transaction that writes: the application's own, or that of a request.
        act: what to do.
        job_ids: the jobs' numbers; a few hundred at most.
        actor: who does it; by default the user of this process.
        reason: why.
    """
    actor = actor or operator_name()
    changed = change_jobs(connection, job_ids, act.change, actor, reason)
    number = None
    if changed.moved and not act.is_undoable:
        number = write_act(connection, f"{act.name} {Selection(ids=changed.moved)}", actor, reason)
    return outcome_of(changed, number)


def outcome_of(changed: Changed, act: int | None = None) -> Outcome:
    """Return what became of jobs, as a value."""
    return Outcome(changed.moved, tuple(Refusal(number, why) for number, why in changed.refused.items()), act)


def _act_by_number(
    connection: Connection, act: Act, job_ids: Sequence[int], how: Bulk, number: int | None, name: str
) -> Outcome:
    """Do something to jobs, and keep what they were before, under the act's number, or a new one of this name."""
    actor = how.actor or operator_name()
    # Only these: a row that is locked elsewhere now may be free, and another one, when the change locks it.
    rows, refused = locked_jobs(connection, job_ids)
    ours = [row.id for row in rows]
    before = values_of(connection, ours)
    changed = change_jobs(connection, ours, act.change, actor, how.reason)
    if changed.moved:
        number = number or write_act(connection, name, actor, how.reason)
        if act.is_undoable:
            keep(connection, number, before, changed.moved)
    return outcome_of(Changed(changed.moved, refused | changed.refused), number)


@dataclass(frozen=True)
class Bulk:
    """How to do something to many jobs.

    Attributes:
        actor: who does it; None: the user of this process.
        reason: why.
        limit: the most jobs; None: all.
        batch: how many in one transaction.
        pause: the seconds between two batches.
        is_dry: whether each batch is rolled back: it tells what would become of the jobs.
    """

    actor: str | None = None
    reason: str | None = None
    limit: int | None = None
    batch: int = BATCH
    pause: float = PAUSE_SECONDS
    is_dry: bool = False


def act_on_selection(database: Database, act: Act, selection: Selection, how: Bulk = Bulk()) -> Iterator[Outcome]:
    """Do something to the jobs of a selection, in batches, and yield what became of each when it is committed.

    Whoever stops to iterate stops the work: what was yielded stays. An act that moves a job has a number.

    Args:
        database: the database of the jobs.
        act: what to do.
        selection: which jobs; see `meant`.
        how: how to do it.
    """
    number, is_first = None, True
    size = how.batch if selection.graph is None else GRAPH
    selection = meant(act, selection)
    name = act.name if act.is_undoable else f"{act.name} {selection}"
    for ids in limited(_batches(database, selection, size), how.limit):
        if not is_first:
            time.sleep(how.pause)
        is_first = False
        with database.begin() as connection, connection.begin_nested() as savepoint:
            outcome = _act_by_number(connection, act, ids, how, number, name)
            if how.is_dry:
                savepoint.rollback()
                outcome = replace(outcome, act=None)
        number = outcome.act
        yield outcome


def _batches(database: Database, selection: Selection, size: int) -> Iterator[list[int]]:
    """Yield the numbers of a selection's jobs; numbers alone are not looked for, so that missing jobs are told."""
    if selection == Selection(ids=selection.ids) and selection.ids:
        ids = list(dict.fromkeys(selection.ids))
        return (ids[start : start + size] for start in range(0, len(ids), size))
    return batches(partial(database.begin, writing=False), selection, size)
