"""The history of jobs: events other than plain success, and who caused them."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Connection, insert

from jobcron.database.clock import database_now
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
    SUSPENDED = "suspended", "The job raised `SuspendJobException`. Or `suspend()` by hand."
    CANCELLED = "cancelled", "`cancel()`; `detail` has the previous status."
    INTERRUPTED = (
        "interrupted",
        "The run was stopped, or the database was in trouble (`detail`). The attempt does not count.",
    )
    STOPPING = "stopping", "The process of a job of several tasks was asked to end; it ends after the task."
    SUPERSEDED = (
        "superseded",
        "The job should wait again, but another job with its key is already waiting: it is CANCELLED.",
    )
    TAKEN_OVER = (
        "taken over",
        "The lease had expired, because the process of the previous attempt died. A new attempt starts.",
    )
    EXPIRED = "expired", "The job did not start before its `expires_at`."
    REQUEUED = "requeued", "`queue()`; `detail` has the previous counts."
    RESUMED = "resumed", "`resume()`; `detail` has the previous counts."

    GIVEN_BACK = "given back", "The job was claimed and released before it started. Leaves no event."
    LEASE_LOST = "lease lost", "The job belongs to another runner, which writes its history. Leaves no event."


NOT_WRITTEN = frozenset({EventKind.GIVEN_BACK, EventKind.LEASE_LOST})
"""Kinds of outcomes that leave no event: only metrics and messages name them."""


def record(
    connection: Connection,
    claim: Claim,
    kind: EventKind,
    detail: str | None,
    oops_id: str | None = None,
    actor: str = "runner",
) -> None:
    """Write an event to a job's history."""
    record_all(connection, [claim], kind, detail, oops_id, actor)


def record_all(
    connection: Connection,
    claims: list[Claim],
    kind: EventKind,
    detail: str | None,
    oops_id: str | None = None,
    actor: str = "runner",
) -> None:
    """Write the same event to the histories of several jobs."""
    same = {"actor": actor, "kind": kind.value, "detail": detail, "oops_id": oops_id}
    # A statement built by SQLAlchemy: for a text, psycopg2 would send each row separately.
    events = [{**same, "job": claim.id, "lease_token": claim.token} for claim in claims]
    connection.execute(insert(Event).values(at=database_now()), events)
