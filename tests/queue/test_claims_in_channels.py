"""Claims in channels, beside a slow model of their rules: random jobs and limits, until nothing is left."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update
from sqlalchemy.orm import Session

from jobcron import JobStatus
from jobcron.database.tables import ChannelRow, jobs_connection
from jobcron.jobs.moves.channels import set_limits
from jobcron.jobs.moves.held import is_within
from jobcron.queue.claim import Claimant, claim, hold_channels
from jobcron.testing import JobFactory

W, R, F, S = JobStatus.WAITING, JobStatus.RUNNING, JobStatus.FAILED, JobStatus.SUSPENDED

NOW = datetime.now(UTC)
LONG_AGO, PAST, FUTURE = NOW - timedelta(days=1), NOW - timedelta(hours=1), NOW + timedelta(hours=1)

CHANNELS = ("root.a", "root.a.x", "root.b", "root.free")
BATCH = 3


@dataclass
class Row:
    """A job, as the model knows it; `number` says where it is among those of the database."""

    number: int
    type: str
    status: JobStatus
    channel: str | None
    key: str
    priority: int
    is_due: bool = True
    has_begun: bool = False
    is_alive: bool = False
    is_old: bool = False
    crashes: int = 0


@dataclass
class Model:
    """The rules of channels, as slowly and plainly as they can be said."""

    limits: dict[str, dict[str, Any]]
    section: str
    rows: list[Row] = field(default_factory=list)

    def channel(self, row: Row) -> str:
        """Return where a job runs; empty: nowhere."""
        return row.channel or self.section

    def above(self, row: Row) -> list[str]:
        """Return the limited channels that a job is in."""
        return [name for name in self.limits if is_within(self.channel(row), name)]

    def inside(self, name: str) -> list[Row]:
        """Return the jobs that are in a channel by themselves."""
        return [row for row in self.rows if row.channel is not None and is_within(row.channel, name)]

    def turns(self, name: str, key: str) -> list[Row]:
        """Return the jobs that keep their turn in a channel."""
        kept = [
            row for row in self.inside(name) if row.has_begun and row.status in (W, R, F, S) and not row.is_old
        ]
        one_order = self.limits[name].get("sequential") == "channel"
        return [row for row in kept if one_order or (key and row.key == key)]

    def has_room(self, row: Row) -> bool:
        """Return whether fewer jobs run in each channel of a job than may."""
        for name in self.above(row):
            limit = self.limits[name]
            running = [other for other in self.inside(name) if other.status is R and other.is_alive]
            same = [other for other in running if row.key and other.key == row.key]
            most = limit.get("capacity")
            if limit.get("sequential") == "channel":
                most = 1 if most is None else min(most, 1)
            per_key = 1 if limit.get("sequential") == "target" else limit.get("per_key")
            if (most is not None and len(running) >= most) or (per_key is not None and len(same) >= per_key):
                return False
        return True

    def is_open(self, row: Row) -> bool:
        """Return whether a job may begin: there is room for it, and it has its turn."""
        ordered = [name for name in self.above(row) if self.limits[name].get("sequential")]
        kept = [other for name in ordered for other in self.turns(name, row.key)]
        if not self.has_room(row):
            return False
        return row in kept or not (kept or any(self.has_before(row, name) for name in ordered))

    def has_before(self, row: Row, name: str) -> bool:
        """Return whether a job of another type comes before a job in a channel that keeps an order."""
        one_order = self.limits[name]["sequential"] == "channel"
        return any(
            other.type != row.type
            and other.status is W
            and other.is_due
            and (one_order or (row.key and other.key == row.key))
            and (other.priority, other.number) < (row.priority, row.number)
            and self.has_room(other)
            for other in self.inside(name)
        )

    def next_claims(self) -> list[Row]:
        """Return what one claim takes."""
        waiting = [row for row in self.rows if row.type == "mine" and row.status is W and row.is_due]
        found: list[Row] = []
        for row in sorted(waiting, key=lambda row: (row.priority, row.number)):
            if not self.is_open(row):
                continue
            is_alone = row.crashes > 0 or bool(self.above(row))
            if is_alone and found:
                break
            found.append(row)
            if is_alone or len(found) == BATCH:
                break
        return found

    def begin(self, row: Row) -> None:
        """Let a job run."""
        row.status, row.is_alive, row.has_begun, row.is_old = R, True, True, False
        row.channel = row.channel or self.section or None


def some_limits(chance: random.Random) -> dict[str, dict[str, Any]]:
    """Return limits of some channels."""
    kinds: list[dict[str, Any]] = [
        {"capacity": 1},
        {"capacity": 3},
        {"per_key": 1},
        {"capacity": 4, "per_key": 2},
        {"sequential": "channel"},
        {"sequential": "target"},
        {"sequential": "target", "capacity": 2},
    ]
    names = chance.sample(["root", "root.a", "root.a.x", "root.b"], chance.choice((0, 1, 1, 2, 3)))
    return {name: dict(chance.choice(kinds)) for name in names}


def some_jobs(chance: random.Random) -> list[Row]:
    """Return jobs in many states."""
    jobs = []
    in_none = chance.choice((0.0, 0.0, 0.5, 1.0))  # mostly all are in channels, or none is
    lanes = chance.sample(CHANNELS, chance.choice((1, 1, 2, 4)))
    for number in range(chance.randint(1, 14)):
        status = chance.choice((W, W, W, W, R, F, S))
        begun = status in (R, F) or (status in (W, S) and chance.random() < 0.2)
        channel = None if status is W and not begun and chance.random() < in_none else chance.choice(lanes)
        row = Row(number, chance.choice(("mine", "mine", "other")), status, channel, chance.choice("ab "), 10)
        row.key, row.priority = row.key.strip(), chance.choice((10, 10, 20))
        row.is_due, row.has_begun = chance.random() < 0.9, begun
        row.is_alive, row.is_old = status is R and chance.random() < 0.8, begun and chance.random() < 0.3
        row.crashes = int(begun and chance.random() < 0.2)
        jobs.append(row)
    return jobs


def stored(session: Session, row: Row) -> int:
    """Write a job of the model into the database, and return its number there."""
    begun_at = (LONG_AGO if row.is_old else PAST) if row.has_begun else None
    values: dict[str, object] = {"date_started": begun_at, "begun_token": int(row.has_begun), "lease_token": 1}
    values["date_created"] = LONG_AGO - timedelta(hours=1)
    if row.status is R:
        values["lease_expires"] = FUTURE if row.is_alive else PAST
        values["date_started"] = begun_at or PAST
    if row.status is F:
        values["date_finished"] = begun_at
    job = JobFactory(session).makeJob(
        row.status,
        f"channels.{row.type}",
        channel=row.channel,
        channel_key=row.key,
        priority=row.priority,
        scheduled_start=LONG_AGO if row.is_due else FUTURE,
        crash_count=row.crashes,
        **values,
    )
    session.flush()
    return int(job.id)


def begins(connection: Connection, limits: dict[str, dict[str, Any]]) -> None:
    """Set limits as if they had been set some time ago, between what is old and what is not."""
    for name, limit in limits.items():
        set_limits(connection, name, "a test", limit)
        if limit.get("sequential"):
            since = NOW - timedelta(hours=12)
            connection.execute(update(ChannelRow).where(ChannelRow.name == name).values(passed_at=since))


def check(session: Session, seed: int) -> int:
    """Claim what one scene has, compare each claim with the model, and return how many jobs were claimed."""
    chance = random.Random(seed)
    model = Model(some_limits(chance), chance.choice(("", "", "root.a", "root.free")), some_jobs(chance))
    connection = jobs_connection(session)
    begins(connection, model.limits)
    numbers = {stored(session, row): row for row in model.rows}
    mine = JobFactory(session).makeJob(JobStatus.COMPLETED, "channels.mine")
    session.flush()
    claimant, count = Claimant("me:1", 3600.0, channel=model.section), 0
    while True:
        expected = model.next_claims()
        held = hold_channels(connection, mine.type_id, claimant)
        found = [numbers[taken.id] for taken in claim(connection, mine.type_id, BATCH, claimant, held)]
        assert found == expected, (seed, model)
        if not found:
            return count
        count += len(found)
        for row in found:
            model.begin(row)


@pytest.mark.feature("OCQ-10")
def test_each_claim_takes_the_jobs_that_the_rules_of_channels_say(session: Session) -> None:
    claimed = []
    for seed in range(100):
        with session.begin_nested() as savepoint:
            claimed.append(check(session, seed))
            savepoint.rollback()
        session.expunge_all()
    assert sum(claimed) > 150
