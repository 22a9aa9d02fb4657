"""Why a job or a section does not run, and what is wrong with an instance, as values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from jobcron.jobs.graphs.reading import Neighbour
from jobcron.queue.health import Health


class Cause(StrEnum):
    """What keeps a job from running, or delays it, in the order of judgement: the first is told first."""

    COMPLETED = "completed"
    POISON = "crash limit"
    FAILED = "failed"
    SUSPENDED = "suspended"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    RUNNING = "running"
    ABANDONED = "process dead"
    TOO_LATE = "too late"
    WAITS_FOR_CODE = "waits for code"
    RETRY = "waits for its retry"
    NOT_DUE = "not due"
    LEASED = "leased by hand"
    LOCKED = "row locked"
    CONDITION = "a condition of the claim"
    PAUSED = "paused"
    NO_ROOM = "channel full"
    TYPE_UNKNOWN = "type unknown"
    NO_SECTION = "no section"
    SOURCE_UNKNOWN = "source unknown"
    SWITCHED_OFF = "switched off"
    RETIRED = "no longer defined"
    DISABLED = "disabled"
    FAILING = "its job cannot be created"
    OVERLAP = "waits for its last job"
    NO_RIGHTS = "no rights"
    OUTAGE = "database away"
    NEVER_RUN = "never run"
    SILENT = "silent"
    LOCK_HELD = "lock held"
    OFFERED = "offered"
    OWN_READY = "the source decides"
    NOTHING_READY = "nothing ready"
    READY = "ready"
    AHEAD = "others first"
    MAX_RUNTIME = "limited runs"
    CLAIMED_ALONE = "claimed alone"
    TWIN = "twin"
    NOT_TOLD = "nobody told"


ORDER = tuple(Cause)


@dataclass(frozen=True)
class Reason:
    """A reason.

    Attributes:
        cause: what it is, for programs.
        text: what it is, for people.
        remedy: what would make the job or the section run; None: nothing is to be done, or only time helps.
        until: when it ends by itself, if that is known.
        is_blocking: whether nothing runs while it lasts; if not, it only says what to expect.
    """

    cause: Cause
    text: str
    remedy: str | None = None
    until: datetime | None = None
    is_blocking: bool = True


@dataclass(frozen=True)
class Explanation:
    """Why a job or a section runs, or does not.

    Attributes:
        job: the job's number; None: it is about a section.
        section: the section; for a job, the one that runs it, if there is one.
        is_claimable: whether a claim takes the job, or a takeover: all that the database decides. None for a
            section.
        is_runnable: whether it runs, or will run at the next opportunity: no reason is blocking.
        reasons: all reasons, the first one first.
        schedule: the schedule, if it is about one.
    """

    job: int | None
    section: str | None
    is_claimable: bool | None
    is_runnable: bool
    reasons: tuple[Reason, ...]
    schedule: str | None = None


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or will be.

    Attributes:
        check: the name of the check that found it.
        health: how bad it is.
        text: what it is.
        remedy: what to do.
    """

    check: str
    health: Health
    text: str
    remedy: str


def explanation(
    reasons: list[Reason],
    *,
    job: int | None = None,
    section: str | None = None,
    is_claimable: bool | None = None,
    schedule: str | None = None,
) -> Explanation:
    """Return an explanation with these reasons in the order of judgement."""
    in_order = tuple(sorted(reasons, key=lambda reason: (not reason.is_blocking, ORDER.index(reason.cause))))
    is_runnable = not any(reason.is_blocking for reason in in_order)
    return Explanation(job, section, is_claimable, is_runnable, in_order, schedule)


def blocked_reasons(job: int, waits_for: Iterable[Neighbour]) -> Iterator[Reason]:
    """Yield the reasons of a BLOCKED job.

    Args:
        job: its number.
        waits_for: the jobs that it waits for.
    """
    is_alone = True
    for other in waits_for:
        is_alone = False
        alone = f"jobcron retry {job} does not wait for it"
        again = f"jobcron retry {other.id} goes on with it; {alone}"
        remedy = f"nothing; {alone}" if not other.has_ended else alone if other.status is None else again
        how = "to end" if other.any_end else "to complete"
        yield Reason(Cause.BLOCKED, f"it waits for {other}, {how}", remedy)
    if is_alone:
        text = "it waits for other jobs, of which none is left that would release it"
        yield Reason(Cause.BLOCKED, text, f"jobcron retry {job} releases it")


def moment(when: datetime | None) -> str:
    """Return a time in UTC and in the local time zone."""
    if when is None:
        return "an unknown time"
    local = when.astimezone()
    utc = f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return utc if not local.utcoffset() else f"{utc} ({local:%H:%M:%S %Z})"


def span(length: timedelta) -> str:
    """Return a length of time in words, roughly: its two largest units."""
    seconds = max(0, round(length.total_seconds()))
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size:
            parts.append(f"{seconds // size} {name}")
            seconds %= size
    return " ".join(parts[:2]) or "0 s"


def since(now: datetime, when: datetime | None) -> str:
    """Return how long ago something was, in words."""
    return "at an unknown time" if when is None else f"{span(now - when)} ago, at {moment(when)}"
