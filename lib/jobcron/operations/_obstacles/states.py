"""Why a claim does not take a job: the reasons that its row gives, by its status."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from datetime import timedelta

from jobcron.interfaces import JobStatus
from jobcron.jobs.history import EventKind
from jobcron.jobs.lease import process_of
from jobcron.jobs.moves.pauses import Pause
from jobcron.jobs.registry import registered
from jobcron.operations._obstacles.lock import locked
from jobcron.operations._obstacles.row import Row, Values
from jobcron.operations._rows.error_lines import exception_line
from jobcron.operations.processes.channels import no_room
from jobcron.operations.reasons import Cause, Reason, blocked_reasons, moment, since, span
from jobcron.queue.views import SourceView
from jobcron.reports.plurals import counted

CLAIM_SLACK = timedelta(seconds=1)
"""A lease that was given so much later than its job began was renewed."""


def row_reasons(row: Row, crash_limit: int) -> Iterator[Reason]:
    """Yield the reasons that a job's row gives."""
    yield from _BY_STATUS[row.values.status](row, crash_limit)
    if row.locker is not None and row.values.status in (JobStatus.WAITING, JobStatus.RUNNING):
        yield from locked(row.locker, is_running=row.values.status is JobStatus.RUNNING and not row.is_abandoned)
    if row.twin is not None and row.values.status not in (JobStatus.WAITING, JobStatus.BLOCKED):
        text = f"job {row.twin} has the same unique key {row.values.unique_key!r} and has not started"
        yield Reason(Cause.TWIN, text, "nothing: that job does the work", is_blocking=False)


def _completed(row: Row, crash_limit: int) -> Iterator[Reason]:
    text = f"it completed {since(row.values.now, row.values.date_finished)}"
    yield Reason(Cause.COMPLETED, text, f"jobcron retry {row.values.id} runs it once more")


def _failed(row: Row, crash_limit: int) -> Iterator[Reason]:
    values = row.values
    error = exception_line(values.log) or "no error is recorded"
    report = "" if values.oops_id is None else f" (jobcron oops {values.oops_id})"
    remedy = f"jobcron retry {values.id}, once the cause is mended"
    if values.crash_count >= crash_limit:
        died = f"its process died in {counted(values.crash_count, 'attempt')}"
        text = f"{died}, and the limit is {crash_limit}{report}: {error}"
        yield Reason(Cause.POISON, text, remedy)
    else:
        when = "at its first attempt" if values.attempt_count == 1 else f"after {values.attempt_count} attempts"
        text = f"it failed {when}, {since(values.now, values.date_finished)}{report}: {error}"
        yield Reason(Cause.FAILED, text, remedy)


def _suspended(row: Row, crash_limit: int) -> Iterator[Reason]:
    yield Reason(Cause.SUSPENDED, f"it is suspended{_by(row)}", f"jobcron resume {row.values.id}")


def _cancelled(row: Row, crash_limit: int) -> Iterator[Reason]:
    if row.event is not None and row.event.kind == EventKind.SUPERSEDED:
        yield Reason(Cause.SUPERSEDED, f"another job took its place{_by(row)}", "nothing: that job does the work")
    else:
        yield Reason(Cause.CANCELLED, f"it was cancelled{_by(row)}", f"jobcron retry {row.values.id}")


def _expired(row: Row, crash_limit: int) -> Iterator[Reason]:
    end = row.values.expires_at
    text = "it expired before it was started" if end is None else f"it was to be started before {moment(end)}"
    yield Reason(Cause.EXPIRED, text, f"jobcron retry {row.values.id} runs it without that limit")


def _blocked(row: Row, crash_limit: int) -> Iterator[Reason]:
    yield from blocked_reasons(row.values.id, row.waits_for)


def _running(row: Row, crash_limit: int) -> Iterator[Reason]:
    values = row.values
    held = f"{values.claimed_by or 'somebody'}, begun {since(values.now, values.date_started)}"
    lease = values.lease_expires
    if row.is_abandoned:
        text = f"it was held by {held}; the lease ended {since(values.now, lease)}: the process seems dead"
        yield Reason(Cause.ABANDONED, text, "the next run takes it over", is_blocking=False)
        yield from (*map(paused, row.pauses), *map(no_room, row.full))
    elif (process := process_of(values.claimed_by)) is not None and process.is_missing:
        text = f"it was held by {held}; this host has no process {process.pid}; lease until {moment(lease)}"
        remedy = "the section's next run on that host takes it over; any other one, when the lease has ended"
        yield Reason(Cause.ABANDONED, text, remedy, until=lease, is_blocking=False)
        yield from (*map(paused, row.pauses), *map(no_room, row.full))
    else:
        text = f"it is running, held by {held}; lease until {moment(lease)}, {_renewal(values)}"
        yield Reason(Cause.RUNNING, text, until=lease, is_blocking=False)


def _renewal(values: Values) -> str:
    """Return when a running job's lease was renewed, or given if it was not renewed yet."""
    source = registered().get(values.type)
    if source is None or values.lease_expires is None:
        return "which its process renews"
    given = values.lease_expires - timedelta(seconds=SourceView(source).lease_seconds)
    begun = values.date_started
    # A checkpoint renews it on the job's own row.
    is_renewed = values.is_renewed or (begun is not None and given > begun + CLAIM_SLACK)
    return f"{'renewed' if is_renewed else 'given'} {span(values.now - given)} ago"


def _waiting(row: Row, crash_limit: int) -> Iterator[Reason]:
    yield from (*map(paused, row.pauses), *map(no_room, row.full))
    if row.conditions["is_due"] and _waits_for_code(row):
        text = f"{_code_lacking(row)}; the next run with such code runs it"
        yield Reason(Cause.WAITS_FOR_CODE, text, "deploy it", is_blocking=False)
    for name, holds in row.conditions.items():
        if not holds and name != "is_not_paused":
            yield _UNMET[name](row) if name in _UNMET else Reason(Cause.CONDITION, f"the claim asks for {name}")
    if row.values.crash_count:
        deaths = counted(row.values.crash_count, "time")
        text = f"its process died {deaths}: it is claimed alone, to take no other job along"
        yield Reason(Cause.CLAIMED_ALONE, text, is_blocking=False)


def _not_due(row: Row) -> Reason:
    values = row.values
    start = values.scheduled_start
    text = f"it is not due for {span(start - values.now)}, until {moment(start)}"
    remedy = f"jobcron run-now {values.id}"
    if _waits_for_code(row):
        return Reason(Cause.WAITS_FOR_CODE, f"{_code_lacking(row)}; {text}", f"deploy it, then {remedy}", start)
    if row.event is not None and row.event.kind in (EventKind.RETRY, EventKind.INTERRUPTED):
        error = exception_line(values.log) or row.event.detail or ""
        return Reason(Cause.RETRY, f"it waits for its next attempt: {text}; the last one: {error}", remedy, start)
    return Reason(Cause.NOT_DUE, text, remedy, start)


def _waits_for_code(row: Row) -> bool:
    return row.event is not None and row.event.kind == EventKind.WAITS_FOR_CODE


def _code_lacking(row: Row) -> str:
    detail = "" if row.event is None else row.event.detail
    return f"it waits for code that has what its row names: {detail}"


def _leased(row: Row) -> Reason:
    end = row.values.lease_expires
    text = f"somebody has taken its lease by hand (acquireLease), until {moment(end)}"
    return Reason(Cause.LEASED, text, f"jobcron run-now {row.values.id} takes the lease away", end)


def _too_late(row: Row) -> Reason:
    text = f"it was to be started before {moment(row.values.expires_at)}; the next run of its section expires it"
    return Reason(Cause.TOO_LATE, text, f"jobcron retry {row.values.id}, once it has expired")


def paused(found: Pause) -> Reason:
    """Return the reason that something is paused."""
    return Reason(
        Cause.PAUSED, str(found), f"jobcron unpause --{found.scope} {shlex.quote(found.name)}", found.until
    )


def _by(row: Row) -> str:
    """Return who brought the job to its status, when and why."""
    if row.event is None:
        return ""
    detail = f" ({row.event.detail})" if row.event.detail else ""
    return f" by {row.event.actor}, {since(row.values.now, row.event.at)}{detail}"


_BY_STATUS: dict[JobStatus, Callable[[Row, int], Iterator[Reason]]] = {
    JobStatus.WAITING: _waiting,
    JobStatus.RUNNING: _running,
    JobStatus.COMPLETED: _completed,
    JobStatus.FAILED: _failed,
    JobStatus.SUSPENDED: _suspended,
    JobStatus.CANCELLED: _cancelled,
    JobStatus.EXPIRED: _expired,
    JobStatus.BLOCKED: _blocked,
}

_UNMET: dict[str, Callable[[Row], Reason]] = {"is_due": _not_due, "is_free": _leased, "is_in_time": _too_late}
