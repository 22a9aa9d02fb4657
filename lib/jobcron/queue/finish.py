"""The end of an attempt: writes its outcome, fenced by the lease token.

Success is the last statement of the job's own transaction. Every other outcome is written in a separate
transaction, after the rollback of the job's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from jobcron.database.database import TransactionSource
from jobcron.database.retry import TRIES, retry_in_transaction
from jobcron.database.statements import among, be_brief, execute
from jobcron.database.stored_text import Wording, held, nothing, plain
from jobcron.database.tables import Event
from jobcron.database.trouble import Interruption, interruption_of
from jobcron.errors import DatabaseUnavailable
from jobcron.interfaces import JobStatus
from jobcron.jobs.history import record
from jobcron.jobs.job import Job, has_status
from jobcron.jobs.lease import Claim
from jobcron.jobs.moves.edges import hand_on_successors
from jobcron.jobs.moves.twins import twins_of
from jobcron.jobs.status import ENDED, NOT_STARTED
from jobcron.queue.outcome import NotStarted, Outcome, PoisonStopped, Superseded, WaitsForCode

SETTLE_SECONDS = 1.0
"""Seconds to wait, twice, for whatever a dead process has left in the database."""


def set_aside(
    database: TransactionSource,
    claim: Claim,
    outcome: Outcome,
    *,
    progress: int | None = None,
    log: str | None = None,
    oops_id: str | None = None,
    claimant: str = "",
    tries: int = TRIES,
    on_refused: Callable[[Exception], object] = lambda error: None,
) -> Outcome | None:
    """Write how an attempt ended, in a separate transaction.

    Retries if the connection is lost, or another job with the same key is created meanwhile. What the database
    refuses is written with fewer words, at last as the bare status.

    Args:
        database: the database of the job.
        claim, outcome: our claim on the job, and how the attempt ended.
        claimant: who has claimed it, if that may have been rolled back: somebody else may have the same token.
        progress, log, oops_id: the values of the job's row; None: unchanged.
        tries: the most tries while the database is in trouble.
        on_refused: called with the error each time that the database refused what was to be written.

    Returns:
        The outcome that was written: the given one, or Superseded. None: the job is no longer ours.

    Raises:
        DatabaseUnavailable: the database cannot be reached; the lease decides.
        Exception: the database refuses even the bare status.
    """
    # why: decisions 2026-11-29, an outcome is written whatever the job said
    texts = {"log": log, "oops_id": oops_id}
    end = partial(write_end, claim=claim, outcome=outcome, progress=progress, texts=texts, claimant=claimant)
    for form in _FORMS:
        try:
            return retry_in_transaction(database, str(claim), partial(end, form=form), tries)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            if form is _FORMS[-1]:
                raise
            on_refused(error)
    raise AssertionError("not reached: the last form returns or raises")


class _Form(NamedTuple):
    """The form in which an outcome is written.

    Attributes:
        wording: the form of its texts.
        has_event: whether the job's history is written.
        has_progress: whether the progress is.
    """

    wording: Wording
    has_event: bool = True
    has_progress: bool = True


_FORMS = (
    _Form(held),
    _Form(plain),
    _Form(nothing, has_progress=False),
    _Form(nothing, has_progress=False, has_event=False),
)
"""From all that there is to say to the bare status."""


_NO_TEXTS: Mapping[str, str | None] = {"log": None, "oops_id": None}


def write_end(
    connection: Connection,
    claim: Claim,
    outcome: Outcome,
    progress: int | None = None,
    texts: Mapping[str, str | None] = _NO_TEXTS,
    form: _Form = _FORMS[0],
    claimant: str = "",
) -> Outcome | None:
    """Write how an attempt ended, in a transaction that is open; see `set_aside`."""
    has_begun = not isinstance(outcome, NotStarted | PoisonStopped | WaitsForCode)
    counted = outcome.counted
    if outcome.status in NOT_STARTED:
        twin, is_key_held = twins_of(connection, claim, outcome.delay)
        has_begun = has_begun or is_key_held  # it was claimed in time, and cannot hold its key any more
        if twin is not None:
            why = "" if counted else f"{outcome.kind}, "  # nothing else shows that it began
            outcome = Superseded(outcome.error, f"{why}superseded by {twin}")
            hand_on_successors(connection, claim, twin)
    parameters = {
        "id": claim.id,
        "token": claim.token,
        "claimant": claimant,
        "status": int(outcome.status),
        "ended": int(outcome.status in ENDED),
        "delayed": int(outcome.delay is not None),
        "delay": outcome.delay,
        "uncounted": int(not counted),
        "begun": int(has_begun),
        "cleaned_up": int(outcome.status is JobStatus.FAILED and not isinstance(outcome, PoisonStopped)),
        "progress": progress if form.has_progress else None,
        **{name: None if text is None else form.wording(connection, text) for name, text in texts.items()},
    }
    if execute(connection, "set_aside", parameters).rowcount != 1:
        # A write whose COMMIT got no answer may still have arrived.
        row = state_of(connection, claim)
        return outcome if row == (outcome.status, claim.token) else None
    if form.has_event and not (isinstance(outcome, NotStarted) or _is_recorded(connection, claim, outcome)):
        record(connection, claim, outcome.kind, outcome.note, texts["oops_id"], wording=form.wording)
    return outcome


def _is_recorded(connection: Connection, claim: Claim, outcome: Outcome) -> bool:
    """Return whether a job's history says already, as its last word, what the job waits for."""
    if not isinstance(outcome, WaitsForCode):
        return False
    last = select(Event.kind, Event.detail).where(Event.job_id == claim.id).order_by(Event.id.desc()).limit(1)
    row = connection.execute(last).first()
    return row is not None and tuple(row) == (outcome.kind.value, outcome.note)


def state_of(connection: Connection, claim: Claim) -> tuple[JobStatus, int] | None:
    """Return a job's status and lease token as a transaction sees them; None: it sees no row."""
    row = connection.execute(select(Job._status, Job.lease_token).where(Job.id == claim.id)).first()
    return None if row is None else (row[0], row[1])


def held_of(database: TransactionSource, claims: Sequence[Claim]) -> set[Claim]:
    """Return the given claims that still hold their jobs; all of them while the database does not answer.

    It only reads: the fence decides in any case.
    """
    known = select(Job.id, Job.lease_token).where(
        among(Job.id, [claim.id for claim in claims]), has_status(JobStatus.RUNNING)
    )
    with suppress(DBAPIError, DatabaseUnavailable), database.begin(writing=False) as connection:
        held = {(number, token) for number, token in connection.execute(known)}
        return {claim for claim in claims if (claim.id, claim.token) in held}
    return set(claims)


def still_ours(database: TransactionSource, claim: Claim) -> bool:
    """Return whether this attempt held the job a moment ago: the failure of a lost job is not reported."""
    state = retry_in_transaction(database, str(claim), lambda connection: state_of(connection, claim))
    return state == (JobStatus.RUNNING, claim.token)


def settled(database: TransactionSource, claim: Claim) -> JobStatus | None:
    """Return the status of a job whose process has ended, once that process's statements have ended as well.

    The fence waits a while for a COMMIT that the database has received but not finished, or for a statement
    that still runs.

    Returns:
        None: the job is no longer ours; or the dead process's transaction is still open, and the lease decides.
    """

    def look(connection: Connection) -> tuple[JobStatus, int] | None:
        be_brief(connection, SETTLE_SECONDS)
        execute(connection, "fence", {"id": claim.id, "token": claim.token}).first()
        return state_of(connection, claim)

    try:
        state = retry_in_transaction(database, str(claim), look, tries=2)
    except DatabaseUnavailable as error:
        if interruption_of(error) is not Interruption.LOCK_TIMEOUT:
            raise
        return None
    return state[0] if state is not None and state[1] == claim.token else None


def current_status(database: TransactionSource, claim: Claim) -> JobStatus | None:
    """Return a job's current status, without waiting for other transactions; None: the job is lost, or unknown."""
    with suppress(DBAPIError, DatabaseUnavailable), database.begin(writing=False) as connection:
        return status_under(connection, claim)
    return None


def status_under(connection: Connection, claim: Claim) -> JobStatus | None:
    """Return a job's status as a transaction sees it; None: there the job belongs to another claim."""
    state = state_of(connection, claim)
    return state[0] if state is not None and state[1] == claim.token else None


def expire(connection: Connection, type_id: int, batch: int) -> list[Claim]:
    """Move up to `batch` waiting jobs of a type whose expiry has passed to EXPIRED."""
    rows = execute(connection, "expire", {"type": type_id, "batch": batch})
    return [Claim(row.id, row.lease_token) for row in rows]


def end_half_done(connection: Connection, claim: Claim, *, is_again: bool = False) -> bool:
    """Write that a cancelled job's hook was called, or is to be called again; return False if it has moved."""
    parameters = {"id": claim.id, "token": claim.token, "again": int(is_again)}
    return execute(connection, "end_half_done", parameters).rowcount == 1
