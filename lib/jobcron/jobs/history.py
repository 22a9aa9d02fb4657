"""The history of jobs: events other than plain success, and who caused them."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, func, insert, select

from jobcron.database.clock import database_now
from jobcron.database.stored_text import Wording, held
from jobcron.database.tables import Event
from jobcron.jobs.lease import Claim


class EventKind(StrEnum):
    """The kind of an event in a job's history. Rows store the values: never change one."""

    description: str

    def __new__(cls, value: str, description: str) -> EventKind:
        """Create a kind of event.

        Args:
            value: the word that rows store.
            description: what it means, for the reference; Markdown.
        """
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.description = description
        return kind

    COMPLETED = "completed", "`complete()` by hand. Plain success leaves no event."
    FAILED = "failed", "The attempt ended in an error; `oops_id` names the report. Or `fail()` by hand."
    USER_ERROR = "user error", "The attempt ended in one of `user_error_types`."
    RETRY = "retry", "The attempt ended in an error that is retried."
    SUSPENDED = "suspended", "The job raised `SuspendJobException`. Or `suspend()` by hand, or `jobcron restored`."
    CANCELLED = "cancelled", "`cancel()`; `detail` has the previous status."
    INTERRUPTED = (
        "interrupted",
        "The run was stopped, or the database was in trouble (`detail`). The attempt does not count.",
    )
    SLOW_LANE = (
        "slow lane",
        "The job reached its `time_limit`, and has become one of its slow lane's type (`detail`). The attempt "
        "does not count.",
    )
    STOPPING = "stopping", "The process of a job of several tasks was asked to end; it ends after the task."
    SUPERSEDED = (
        "superseded",
        "The job should wait again, but a job with its key does the same work no later: it is CANCELLED.",
    )
    TAKEN_OVER = (
        "taken over",
        "The lease had expired, because the process of the previous attempt died. A new attempt starts.",
    )
    WAITS_FOR_CODE = (
        "waits for code",
        "The row names a function, a task, an argument or a class (`detail`) that the code of the run lacks. The "
        "job was not started. One event, however often runs of such code find the job.",
    )
    EXPIRED = "expired", "The job had not begun at its `expires_at`."
    CLEANED_UP = (
        "cleaned up",
        "The job was cancelled when it had committed something on its way: its failure hook was called.",
    )
    NOT_CLEANED_UP = (
        "not cleaned up",
        "The same, but the hook failed, or its process died too often (`detail`). What the job committed stays.",
    )
    REQUEUED = "requeued", "`queue()`; `detail` has the previous counts."
    LEASE_ENDED = "lease ended", "`endLease()`."
    RESUMED = "resumed", "`resume()`; `detail` has the previous counts."

    POSTPONED = "postponed", "Somebody set when the job is due, later or now; `detail` has the old time."
    CHANGED = "changed", "Somebody changed the priority or the queue; `detail` has the old value."
    UNDONE = "undone", "Somebody undid an act on jobs, by its number (`detail`): the row is as it was before it."
    NOT_TOLD = "not told", "`notifyUserError` or `notifyOops` failed (`detail`): what they wrote is undone."
    MAIL_WAITS = "mail waits", "A mail about the job could not be sent (`detail`). Later runs try again."
    MAIL_SENT = "mail sent", "A mail that waited was sent."
    MAIL_GIVEN_UP = "mail given up", "A mail that waited could not be sent for hours (`detail`), and is gone."

    TRIED = "tried", "`jobcron try` ran the job and rolled back what it did; `detail` has how it ended."

    GIVEN_BACK = "given back", "The job was claimed and released before it started. Leaves no event."
    LEASE_LOST = "lease lost", "The job belongs to another runner, which writes its history. Leaves no event."


RUNNER = "runner"
"""Who causes the events that nobody causes by hand."""

MOVES_BY_HAND = (
    EventKind.CANCELLED,
    EventKind.COMPLETED,
    EventKind.FAILED,
    EventKind.SUSPENDED,
    EventKind.REQUEUED,
    EventKind.LEASE_ENDED,
)
"""What somebody can do to a job while it runs, so that its attempt commits nothing more."""

NOT_WRITTEN = frozenset({EventKind.GIVEN_BACK, EventKind.LEASE_LOST})
"""Kinds of outcomes that leave no event: only metrics and messages name them."""


def last_events(claim: Claim, kind: EventKind) -> list[ColumnElement[bool]]:
    """Return the condition for a job's last events in a row of one kind."""
    mine = Event.job_id == claim.id
    others = select(func.coalesce(func.max(Event.id), 0)).where(mine, Event.kind != kind)
    return [mine, Event.kind == kind, Event.id > others.scalar_subquery()]


def moved_by_hand(connection: Connection, claim: Claim) -> str | None:
    """Return what somebody did by hand to a job under a claim, who, and why; None: nothing.

    Args:
        connection: only read.
        claim: of an attempt that has found the job moved.
    """
    newest = select(Event.kind, Event.actor, Event.detail).where(
        Event.job_id == claim.id,
        Event.lease_token == claim.token,
        Event.kind.in_(MOVES_BY_HAND),
        Event.actor != RUNNER,
    )
    found = connection.execute(newest.order_by(Event.id.desc()).limit(1)).first()
    if found is None:
        return None
    _, _, reason = (found.detail or "").partition("; ")  # behind what the job was
    return f"{found.kind} by {found.actor}{f' ({reason})' if reason else ''}"


def record(
    connection: Connection,
    claim: Claim,
    kind: EventKind,
    detail: str | None,
    oops_id: str | None = None,
    actor: str = RUNNER,
    wording: Wording = held,
) -> None:
    """Write an event to a job's history.

    Args:
        connection, claim, kind, detail, oops_id, actor: see `Event`.
        wording: the form in which texts are stored.
    """
    record_all(connection, [claim], kind, detail, oops_id, actor, wording)


def record_all(
    connection: Connection,
    claims: list[Claim],
    kind: EventKind,
    detail: str | None,
    oops_id: str | None = None,
    actor: str = RUNNER,
    wording: Wording = held,
) -> None:
    """Write the same event to the histories of several jobs; see `record`."""
    record_each(connection, [(claim, detail) for claim in claims], kind, oops_id, actor, wording)


def record_each(
    connection: Connection,
    told: list[tuple[Claim, str | None]],
    kind: EventKind,
    oops_id: str | None = None,
    actor: str = RUNNER,
    wording: Wording = held,
) -> None:
    """Write an event of the same kind, each with its detail, to the histories of several jobs; see `record`."""

    def worded(text: str | None) -> str | None:
        return None if text is None else wording(connection, text)

    same = {"actor": held(connection, actor), "kind": kind.value, "oops_id": worded(oops_id)}
    # A statement built by SQLAlchemy: for a text, psycopg2 would send each row separately.
    events = [
        {**same, "job": claim.id, "lease_token": claim.token, "detail": worded(detail)} for claim, detail in told
    ]
    connection.execute(insert(Event).values(at=database_now()), events)
