"""Channels as an operator sees them: what each allows, how many jobs run in it, which ones, and how many wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, or_, select

from jobcron.database.clock import database_after, database_now
from jobcron.database.tables import ChannelRow, StartRow
from jobcron.interfaces import JobStatus
from jobcron.jobs.hand_moves import operator_name
from jobcron.jobs.job import Job, has_status, lease_end
from jobcron.jobs.moves import channels as rows
from jobcron.jobs.moves.channels import IN_ORDER, LIMITS, NO_LIMIT, check_channel, described, read_channels, turns
from jobcron.jobs.moves.held import is_within
from jobcron.jobs.moves.pauses import Pause, Scope, current_pauses
from jobcron.jobs.moves.undoing import write_act
from jobcron.operations.processes._waiting import COUNTED, waiting_jobs
from jobcron.operations.reasons import Cause, Reason
from jobcron.settings.settings import Settings

__all__ = [
    "IN_ORDER",
    "LIMITS",
    "ChannelState",
    "Full",
    "Place",
    "channel_states",
    "full_for",
    "is_within",
    "pass_over",
    "reset_limits",
    "starts",
]

SHOWN = 5
"""How many of the jobs in a full channel are named."""


@dataclass(frozen=True)
class Place:
    """A job that takes up a place in a channel.

    Attributes:
        job: its number.
        channel: the channel that it is in, which may be below the one that is looked at.
        key: what a capacity per key counts it for; empty: nothing.
        claimed_by: the process that runs it.
        since: when it was claimed.
    """

    job: int
    channel: str
    key: str
    claimed_by: str | None
    since: datetime | None


@dataclass(frozen=True)
class ChannelState:
    """A channel, with all that is below it.

    Attributes:
        name: its name.
        capacity: how many jobs run at once at most; None: no limit.
        per_key: how many of one key run at once at most; None: no limit.
        throttle: how many start in a period at most; None: no limit.
        period: that period, in seconds.
        sequential: "channel" or "target", if the order of its jobs is kept; None: it is not.
        turns: the jobs that keep their turn in it: they have begun, do not run, and have not ended well.
        started: how many have started in that period until now.
        used: how many run.
        waiting: how many wait, those that are not due yet included.
        is_counted: whether these are all; with very many, only some are looked at.
        places: the jobs that run, the oldest first.
        pause: its own pause; None: it has none. A channel above it may have one.
        origin: where the limits are from; None: it has none.
        changed_by: who has changed them since; None: nobody.
    """

    name: str
    capacity: int | None
    per_key: int | None
    throttle: int | None
    period: float | None
    sequential: str | None
    turns: tuple[int, ...]
    started: int
    used: int
    waiting: int
    is_counted: bool
    places: tuple[Place, ...]
    pause: Pause | None
    origin: str | None
    changed_by: str | None

    @property
    def is_full(self) -> bool:
        """Whether no job can start in it."""
        is_throttled = self.throttle is not None and self.started >= self.throttle
        waits_for_turn = self.sequential == "channel" and bool(self.used or self.turns)
        return is_throttled or waits_for_turn or (self.capacity is not None and self.used >= self.capacity)


def places(connection: Connection) -> list[Place]:
    """Return the jobs that take up places, the oldest first; only reads."""
    running = (has_status(JobStatus.RUNNING), Job.channel.is_not(None), lease_end() > database_now())
    columns = (Job.id, Job.channel, Job.channel_key, Job.claimed_by, Job.date_started)
    found = connection.execute(select(*columns).where(*running).order_by(Job.date_started, Job.id))
    return [Place(job, channel or "", key, by, since) for job, channel, key, by, since in found]


def channel_states(connection: Connection, settings: Settings | None = None) -> list[ChannelState]:
    """Return all channels that have a limit, a pause, or jobs that wait or run, by name; only reads.

    Args:
        connection: a connection.
        settings: the instance's: jobs without a channel wait in that of their section. None: they do not count.
    """
    limits = {row.name: row for row in read_channels(connection)}
    pauses = {pause.name: pause for pause in current_pauses(connection, Scope.CHANNEL)}
    running = places(connection)
    waiting = waiting_jobs(connection, settings)
    names = {*limits, *pauses, *waiting, *(place.channel for place in running)}
    kept, busy = turns(connection), {place.job for place in running}
    return [
        replace(
            _state(name, limits.get(name), running, waiting, pauses.get(name)),
            started=len(starts(connection, limits.get(name))),
            turns=tuple(turn.job for turn in kept if turn.channel == name and turn.job not in busy),
        )
        for name in sorted(names)
    ]


def starts(connection: Connection, row: ChannelRow | None) -> list[datetime]:
    """Return when jobs have started in a channel within its period until now, the oldest first; only reads."""
    if row is None or row.period is None:
        return []
    inside = or_(StartRow.channel == row.name, StartRow.channel.startswith(f"{row.name}.", autoescape=True))
    recent = select(StartRow.at).where(StartRow.at > database_after(-row.period), inside)
    return list(connection.scalars(recent.order_by(StartRow.at)))


def _state(
    name: str,
    row: ChannelRow | None,
    running: list[Place],
    waiting: Counter[str],
    pause: Pause | None,
) -> ChannelState:
    inside = tuple(place for place in running if is_within(place.channel, name))
    return ChannelState(
        name,
        capacity=None if row is None else row.capacity,
        per_key=None if row is None else row.per_key,
        throttle=None if row is None else row.throttle,
        period=None if row is None else row.period,
        sequential=None if row is None else row.sequential,
        turns=(),
        started=0,
        used=len(inside),
        waiting=sum(count for channel, count in waiting.items() if is_within(channel, name)),
        is_counted=waiting.total() < COUNTED,
        places=inside,
        pause=pause,
        origin=None if row is None else row.origin,
        changed_by=None if row is None else row.changed_by,
    )


class Full(NamedTuple):
    """A limit that keeps a job from starting now.

    Attributes:
        text: which one, how far it is used, and by which jobs.
        remedy: what would change it.
        until: when it ends by itself; None: that is not known.
    """

    text: str
    remedy: str
    until: datetime | None = None


def full_for(connection: Connection, channel: str | None, key: str) -> tuple[Full, ...]:
    """Return the limits that keep a job in a channel from starting now; only reads.

    Args:
        connection: a connection.
        channel: the job's channel, or that of its section; None: no limit is for it.
        key: its key; empty: it has none.
    """
    if channel is None:
        return ()
    running = places(connection)
    found = []
    for row in read_channels(connection):
        if not is_within(channel, row.name):
            continue
        inside = [place for place in running if is_within(place.channel, row.name)]
        same = [place for place in inside if key and place.key == key]
        if row.capacity is not None and len(inside) >= row.capacity:
            found.append(_full(row.name, f"{len(inside)} of {row.capacity} jobs run", inside, "--capacity"))
        if row.per_key is not None and len(same) >= row.per_key:
            told = f"{len(same)} of {row.per_key} jobs with the key {key!r} run"
            found.append(_full(row.name, told, same, "--per-key"))
        recent = starts(connection, row)
        if row.throttle is not None and row.period is not None and len(recent) >= row.throttle:
            told = f"{len(recent)} of {row.throttle} jobs have started within {row.period:g} s"
            until = recent[-row.throttle] + timedelta(seconds=row.period)
            found.append(_full(row.name, told, [], "--throttle")._replace(until=until))
    return tuple(found)


def _full(name: str, told: str, running: list[Place], option: str) -> Full:
    jobs = ", ".join(f"job {place.job} by {place.claimed_by or 'somebody'}" for place in running[:SHOWN])
    more = f" and {len(running) - SHOWN} more" if len(running) > SHOWN else ""
    told = f"{told}: {jobs}{more}" if jobs else told
    return Full(f"channel {name} is full: {told}", f"jobcron channels set {name} {option} N")


def pauses_for(connection: Connection, type_name: str, queue: str, channel: str | None) -> tuple[Pause, ...]:
    """Return the pauses of a job's type, its queue and its channel."""
    mine = {(Scope.TYPE, type_name), (Scope.QUEUE, queue)}
    return tuple(
        found
        for found in current_pauses(connection)
        if (found.scope, found.name) in mine
        or (found.scope is Scope.CHANNEL and is_within(channel or "", found.name))
    )


def no_room(found: Full) -> Reason:
    """Return the reason that a limit is reached."""
    return Reason(Cause.NO_ROOM, found.text, found.remedy, found.until)


def set_limits(
    connection: Connection,
    name: str,
    limits: Mapping[str, object],
    actor: str | None = None,
    settings: Settings | None = None,
) -> ChannelState:
    """Change limits of a channel, in the caller's transaction: see `rows.set_limits`.

    Raises:
        ConfigurationError: no channel can have this name.
    """
    who = actor or operator_name()
    row = rows.set_limits(connection, name, who, limits)
    write_act(connection, f"channel {name}: {described(row)}", who, None)
    return next(state for state in channel_states(connection, settings) if state.name == name)


def pass_over(connection: Connection, name: str, actor: str | None = None) -> tuple[int, ...]:
    """Let a sequential channel go on without the jobs that keep their turn in it; return their numbers.

    Raises:
        ConfigurationError: it keeps no order, or nothing is known of it.
    """
    who = actor or operator_name()
    passed = tuple(rows.pass_over(connection, name))
    told = f"job{'s' if len(passed) > 1 else ''} {', '.join(map(str, passed[:SHOWN]))}" if passed else "no job"
    more = f" and {len(passed) - SHOWN} more" if len(passed) > SHOWN else ""
    write_act(connection, f"skip in channel {name}: {told}{more}", who, None)
    return passed


def reset_limits(
    connection: Connection, name: str, actor: str | None = None, settings: Settings | None = None
) -> ChannelState | None:
    """Let a channel have what the configuration says again; None: nothing is known of it then.

    Raises:
        ConfigurationError: it has no limits.
    """
    check_channel(name)
    row = rows.forget_changes(connection, name)
    now = NO_LIMIT if row is None else described(row)
    write_act(connection, f"channel {name} reset: {now}", actor or operator_name(), None)
    return next((state for state in channel_states(connection, settings) if state.name == name), None)
