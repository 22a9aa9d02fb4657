"""What keeps a job in a channel from starting: its limits, and other jobs whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from jobcron.database.statements import among
from jobcron.database.tables import JobTypeRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.job import Job
from jobcron.jobs.moves.channels import Turn, ahead_of, read_channels, turns
from jobcron.operations.processes.channels import SHOWN, Full, Place, full_for, is_within, places


def in_the_way(connection: Connection, channel: str | None, key: str, job: int = 0) -> tuple[Full, ...]:
    """Return what keeps a job in a channel from starting now: limits, and the order of its channel; only reads.

    Args:
        connection: a connection.
        channel: the job's channel, or that of its section; None: it is in none.
        key: its key; empty: it has none.
        job: its number; 0: no job in particular.
    """
    if channel is None:
        return ()
    whose_turn = list(_turns(connection, channel, key, job))
    first = [] if whose_turn else list(_ahead(connection, channel, job))
    return (*whose_turn, *first, *full_for(connection, channel, key))


def _turns(connection: Connection, channel: str, key: str, job: int) -> Iterator[Full]:
    running = places(connection)
    kept = dict.fromkeys(
        turn
        for turn in [*turns(connection), *_running(connection, running)]
        if is_within(channel, turn.channel) and (turn.key is None or turn.key == key)
    )
    if any(turn.job == job for turn in kept):  # it has begun: it waits only for those that run
        busy = {place.job for place in running}
        kept = {turn: None for turn in kept if turn.job in busy}
    by_channel: dict[str, list[Turn]] = {}
    for turn in kept:
        if turn.job != job:
            by_channel.setdefault(turn.channel, []).append(turn)
    for name, its in by_channel.items():
        yield _kept(connection, name, its)


def _ahead(connection: Connection, channel: str, job: int) -> Iterator[Full]:
    """Yield the jobs of other types that come before a job, the first one in each channel that keeps an order."""
    own_type = connection.scalar(select(Job.type_id).where(Job.id == job))
    if own_type is None:
        return
    first = {turn.channel: turn for turn in reversed(ahead_of(connection, job, own_type, channel))}
    for name, turn in sorted(first.items()):
        of = select(JobTypeRow.name).join(Job, Job.type_id == JobTypeRow.id).where(Job.id == turn.job)
        text = f"{_order(name, turn)}: job {turn.job} ({connection.scalar(of)}) comes first"
        yield Full(text, f"jobcron why {turn.job}")


def _order(name: str, turn: Turn) -> str:
    return f"channel {name} keeps its order" + ("" if turn.key is None else f" for the key {turn.key!r}")


def _running(connection: Connection, running: list[Place]) -> Iterator[Turn]:
    """Yield the turns of the jobs that run: they have one even if the channel has passed over them."""
    for row in read_channels(connection):
        for place in running:
            of_one_key = row.sequential == "target"
            if row.sequential and is_within(place.channel, row.name) and (place.key or not of_one_key):
                yield Turn(place.job, row.name, place.key if of_one_key else None)


def _kept(connection: Connection, name: str, kept: list[Turn]) -> Full:
    shown = [turn.job for turn in kept[:SHOWN]]
    rows = connection.execute(select(Job.id, Job._status).where(among(Job.id, shown)).order_by(Job.id)).all()
    told = " and ".join(f"job {number}, which is {status.title}" for number, status in rows)
    more = f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
    halted = [number for number, status in rows if status is not JobStatus.RUNNING]
    remedy = f"jobcron why {rows[0][0]}" if rows else ""
    if halted:
        remedy = f"jobcron retry {halted[0]}, jobcron set-done {halted[0]}, or jobcron channels skip {name}"
    return Full(f"{_order(name, kept[0])}: it is the turn of {told}{more}", remedy)
