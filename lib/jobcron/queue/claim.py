"""Statements that take jobs: claim, and take over.

Leases are written only here, in `keeper`, `finish` and `cancelled`, and by `Job` when somebody moves a job by
hand.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple, cast

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from jobcron.database.connecting.alone import Brief
from jobcron.database.sql import JOBS, LIMITS, lines
from jobcron.database.statements import execute
from jobcron.interfaces import DEFAULT_CRASH_LIMIT
from jobcron.jobs.lease import Claim, Known, SectionLease, facts_of
from jobcron.jobs.moves.held import Held, lock_channels
from jobcron.queue.finish import write_end
from jobcron.queue.outcome import NotStarted

_COLUMNS = (
    *("id", "lease_token", "place", "priority", "scheduled_start"),
    *("uuid", "attempt_count", "crash_count", "max_retries", "is_bare", "waited", "is_last"),
)
"""What the statements `claim` and `claim_on` return, in their order."""


class Claimant(NamedTuple):
    """Who claims, and how.

    Attributes:
        name: the name of the claiming process.
        lease_seconds: the length of its leases.
        crash_limit: a job that died this often is claimed only to end it: that is no beginning.
        gone: the names of claimants that are known to be over.
        section: the section that it works for; while that is paused, nothing is claimed.
        channel: the channel of that section's jobs that have none themselves; empty: they are in none.
        lease: the section's; once it is lost nothing is taken. None: the section needs none.
    """

    name: str
    lease_seconds: float
    crash_limit: int = DEFAULT_CRASH_LIMIT
    gone: tuple[str, ...] = ()
    section: str = ""
    channel: str = ""
    lease: SectionLease | None = None

    def may_take(self, connection: Connection) -> bool:
        """Return whether jobs may be taken in this transaction: the section's lease is not lost."""
        return self.lease is None or self.lease.hold(connection)


def hold_channels(connection: Connection, type_id: int, claimant: Claimant) -> Held:
    """Lock the channels that a claim of a type's jobs counts: see `lock_channels`."""
    return lock_channels(connection, type_id, claimant.channel)


def claim(
    connection: Connection,
    type_id: int,
    batch: int,
    claimant: Claimant,
    held: Held | None = None,
    known: Known | None = None,
) -> list[Claim]:
    """Claim up to `batch` ready jobs of a type, in the order in which they should start.

    Args:
        connection: in a short transaction.
        type_id, batch, claimant: the type of the jobs; the most jobs; who claims.
        held: what `hold_channels` has locked; None: jobs in channels are left alone.
        known: gets what is known of the jobs.
    """
    if held is None:
        return _taken(connection, "claim", claimant, known, type=type_id, batch=batch)
    taken = partial(_taken, connection, "claim_limited", claimant, known, type=type_id, held=held.names)
    claims: list[Claim] = []
    if held.waits:
        claims = taken(parts=held.limits | held.waits, batch=batch if "many" in held.waits else 1)
    limits = LIMITS if "turns" in held.limits else held.limits  # others may wait now, in channels of any limits
    return claims or taken(parts=limits | JOBS, batch=batch)


class Place(NamedTuple):
    """A place in the line of a type's waiting jobs.

    Attributes:
        priority: that of the job that had the place.
        start: when it was due, as the database writes it.
        last: its number.
        is_end: whether no other job was ready when it was claimed, be it in a channel.
    """

    priority: int
    start: str
    last: int
    is_end: bool = False


def claim_in_line(
    connection: Connection | Brief,
    type_id: int,
    batch: int,
    claimant: Claimant,
    place: Place | None,
    known: Known | None = None,
) -> tuple[list[Claim], Place | None]:
    """Claim jobs as `claim` does, starting behind a place; also return the place of the last job claimed.

    Args:
        connection: to PostgreSQL, in a short transaction.
        type_id, batch, claimant, known: as for `claim`.
        place: the jobs are behind it; None: from the head of the line.
    """
    places: list[Place] = []
    take = partial(_taken, connection, claimant=claimant, known=known, places=places, type=type_id, batch=batch)
    if place is None:
        claims = take("claim")
    else:
        claims = take("claim_on", priority=place.priority, start=place.start, last=place.last)
    return claims, places[-1] if places else None


def claim_one(connection: Connection, job_id: int, claimant: Claimant) -> list[Claim]:
    """Claim one job of any type if it is waiting, due and not leased; return an empty list if it is not.

    It is claimed even if its channel is full.
    """
    return _taken(connection, "claim_one", claimant, id=job_id)


def claim_one_with_room(connection: Connection, job_id: int, type_id: int, claimant: Claimant) -> list[Claim]:
    """Claim one job as `claim_one`, but only if its channel has room.

    Args:
        connection: in a short transaction, which has locked no channels.
        job_id: the job.
        type_id: its type.
        claimant: who claims.
    """
    held = hold_channels(connection, type_id, claimant)
    parts = LIMITS | {"mixed"} if "turns" in held.limits else held.limits
    return _taken(connection, "claim_one_limited", claimant, parts=parts, id=job_id, type=0, held=held.names)


class Dead(NamedTuple):
    """The dead jobs that were found among the jobs of a type.

    Attributes:
        claims: a job that was taken over, or nothing.
        held: the channels that were locked; None: no job of the type waits in a channel, or is dead there.
    """

    claims: list[Claim]
    held: Held | None


def reclaim(connection: Connection, type_id: int, claimant: Claimant) -> list[Claim]:
    """Take over a job of a type whose process is gone or whose lease has expired; return [] if there is none.

    The jobs that were claimed together with it had not begun. They go back to WAITING, in the same transaction.
    It does not begin either: whoever calls this ends it, or puts it back, and its next claim is its start.
    """
    return _look_back(connection, type_id, claimant).claims


def look_back(connection: Connection, type_id: int, claimant: Claimant) -> Dead:
    """Take over a job as `reclaim` does, and begin it; say whether jobs are in channels, and lock these."""
    dead = _look_back(connection, type_id, claimant)
    if dead.claims and dead.held is not None:
        _note_starts(connection, dead.claims)
    return dead


def _look_back(connection: Connection, type_id: int, claimant: Claimant) -> Dead:
    if not claimant.may_take(connection):
        return Dead([], None)
    parameters = {"type": type_id, "gone": lines(claimant.gone), "section": claimant.section}
    claims, has_channels = _of_the_dead(connection, "dead", parameters, claimant)
    if claims or not (has_channels or claimant.channel):
        return Dead(claims, None)
    held = hold_channels(connection, type_id, claimant)
    parameters["held"] = held.names
    claims, _ = _of_the_dead(connection, "dead_limited", parameters, claimant, held.limits)
    return Dead(claims, held)


def _of_the_dead(
    connection: Connection,
    statement: str,
    parameters: dict[str, object],
    claimant: Claimant,
    parts: frozenset[str] | None = None,
) -> tuple[list[Claim], bool]:
    """Take over one of the jobs that a statement finds; also return whether jobs are in channels."""
    while True:
        found = execute(connection, statement, parameters, parts).all()
        rows = [row for row in found if row.id is not None]
        freed = [_put_back(connection, Claim(row.id, row.lease_token)) for row in rows if not row.is_head]
        for row in rows:
            if row.is_head:
                dead = Claim(row.id, row.lease_token, is_from_gone=bool(row.is_gone))
                return _taken_over(connection, dead, bool(row.has_begun), claimant), False
        if not any(freed):
            return [], any(row.has_channels for row in found)


def _taken_over(connection: Connection, claim: Claim, has_begun: bool, claimant: Claimant) -> list[Claim]:
    taken = time.monotonic()
    parameters = {
        "id": claim.id,
        "token": claim.token,
        "lease_seconds": claimant.lease_seconds,
        "claimed_by": claimant.name,
        "crash_limit": claimant.crash_limit,
        "begun": int(has_begun),
        "is_gone": int(claim.is_from_gone),
    }
    if connection.dialect.name == "postgresql" and execute(connection, "seize", parameters).rowcount != 1:
        return []  # just renewed
    rows = execute(connection, "take_over", parameters)
    return [Claim(row.id, row.lease_token, taken, claim.is_from_gone) for row in rows]


def _put_back(connection: Connection, claim: Claim) -> bool:
    """Release a job that was claimed and had not begun; return whether it could be."""
    for _ in range(2):
        with suppress(IntegrityError), connection.begin_nested():  # a job with the same key was just made
            return write_end(connection, claim, NotStarted()) is not None
    return False


def _rows(
    connection: Connection | Brief,
    statement: str,
    parameters: Mapping[str, object],
    parts: frozenset[str] | None,
) -> list[SimpleNamespace]:
    if isinstance(connection, Brief):
        found = connection.rows(statement, parameters)
        return [SimpleNamespace(**dict(zip(_COLUMNS, row, strict=True))) for row in found]
    return cast("list[SimpleNamespace]", execute(connection, statement, parameters, parts).all())


def _taken(
    connection: Connection | Brief,
    statement: str,
    claimant: Claimant,
    known: Known | None = None,
    places: list[Place] | None = None,
    parts: frozenset[str] | None = None,
    **parameters: object,
) -> list[Claim]:
    """Take jobs with a statement; note the facts about them and their places, if the statement returns these.

    In a brief transaction there is no lease of a section, and there are no channels.
    """
    if isinstance(connection, Connection) and not claimant.may_take(connection):
        return []
    taken = time.monotonic()
    parameters |= {"lease_seconds": claimant.lease_seconds, "claimed_by": claimant.name}
    parameters |= {"section": claimant.section, "channel": claimant.channel, "gone": lines(claimant.gone)}
    parameters["crash_limit"] = claimant.crash_limit
    # UPDATE … RETURNING guarantees no order of its rows.
    rows = sorted(_rows(connection, statement, parameters, parts), key=lambda row: row.place)
    claims = [Claim(row.id, row.lease_token, taken) for row in rows]
    if isinstance(connection, Connection) and "held" in parameters and any(row.is_throttled for row in rows):
        _note_starts(connection, claims)
    if known is not None:
        for claim, row in zip(claims, rows, strict=True):
            numbers = row.attempt_count, row.crash_count, row.max_retries
            if (facts := facts_of(row.uuid, *numbers, row.waited, row.is_bare)) is not None:
                known[claim] = facts
    if places is not None:
        places += [Place(row.priority, row.scheduled_start, row.id, row.is_last) for row in rows]
    return claims


def _note_starts(connection: Connection, claims: list[Claim]) -> None:
    """Note the starts of jobs in channels with a throttle, and forget old starts."""
    if connection.dialect.name == "sqlite":  # on PostgreSQL the one statement does both
        execute(connection, "forget_starts", {})
    for claim in claims:
        execute(connection, "note_start", {"id": claim.id, "token": claim.token})
