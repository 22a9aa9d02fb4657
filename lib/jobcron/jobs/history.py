"""The history of jobs: what happened to them other than plain success, and who did it."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from jobcron.database.clock import database_now
from jobcron.database.tables import Event
from jobcron.jobs.lease import Claim


def record(
    connection: Connection,
    claim: Claim,
    kind: str,
    detail: str | None,
    oops_id: str | None = None,
    actor: str = "runner",
) -> None:
    """Write an event of a job's history."""
    record_all(connection, [claim], kind, detail, oops_id, actor)


def record_all(
    connection: Connection,
    claims: list[Claim],
    kind: str,
    detail: str | None,
    oops_id: str | None = None,
    actor: str = "runner",
) -> None:
    """Write the same event of several jobs' histories."""
    same = {"actor": actor, "kind": kind, "detail": detail, "oops_id": oops_id}
    # A statement that SQLAlchemy makes: of a text, psycopg2 would send each row by itself.
    events = [{**same, "job": claim.id, "lease_token": claim.token} for claim in claims]
    connection.execute(insert(Event).values(at=database_now()), events)
