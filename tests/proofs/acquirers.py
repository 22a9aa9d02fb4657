"""A caller: it changes things, and acquires a job for each change, in the ways in which transactions end.

acquirers.py URL SEED COUNT
"""

from __future__ import annotations

import random
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from acquireapp import AboutJob, AnythingJob, Changed, FamilyJob, KeyedJob, SeeingSteps, Thing, see_thing
from jobcron import Database
from jobcron.database.trouble import Interruption, interruption_of

HOLD_SECONDS = (0.0, 0.4)
"""How long a caller's transactions last that change a thing: one makes a job, and the other finds it, for so long
that a run meets it. More changes would make good what is lost."""


def acquire(session: Session, thing: Thing, **values: Any) -> UUID:
    """Acquire the job of a thing's kind, and return its uuid."""
    match thing.kind:
        case "family":
            return FamilyJob.acquire(thing, session=session, **values).uuid
        case "keyed":
            return KeyedJob.acquire(thing=thing.id, unique_key=str(thing.id), session=session, **values).uuid
        case "about":
            return AboutJob.acquire(thing, session=session, **values).uuid
        case "anything":
            return AnythingJob.acquire(thing, session=session, **values).uuid
        case "function":
            reason = values.pop("reason", "")
            call = see_thing.options(identity_key=str(thing.id), **values)
            return UUID(call.delay(session, thing.id, reason=reason))
    workspace = {"thing": thing.id}
    made = SeeingSteps.acquire(workspace=workspace, unique_key=str(thing.id), session=session, **values)
    return made.uuid


def create(session: Session, thing: Thing) -> UUID:
    """Where it is possible, create a job without a key, which the next caller's `acquire` finds by its target."""
    match thing.kind:
        case "family":
            return FamilyJob.create(thing, session=session).uuid
        case "about":
            return AboutJob.create(thing, session=session).uuid
    return acquire(session, thing)


def acquire_otherwise(session: Session, thing: Thing) -> UUID:
    """Acquire a job that is due later, expires soon, starts after the last of several calls, or is told more."""
    soon = random.uniform(0.1, 1.5)
    at = datetime.now(UTC) + timedelta(seconds=soon)
    is_function = thing.kind == "function"
    ways: list[dict[str, Any]] = [{"eta" if is_function else "scheduled_start": at}, {"priority": 1}]
    ways.append({"debounce": soon, "at_most": 2.0})
    if not is_function:
        ways += [{"expires_at": at}] * 2
    if thing.kind in ("keyed", "about", "function"):
        ways += [{"reason": random.choice(("spring", "autumn"))}] * 2
    return acquire(session, thing, **random.choice(ways))


def change(session: Session, thing: Thing, seconds: float, *, is_acquired_first: bool) -> None:
    """Change a thing, and acquire its job; then take so long for what the caller's transaction does besides.

    The one that takes no time may create a job instead, which sees its change as well, or acquire one otherwise.
    """
    get_job = random.choice((acquire, create, acquire_otherwise)) if not seconds else acquire
    uuid = get_job(session, thing) if is_acquired_first else None
    version = session.scalar(
        update(Thing).where(Thing.id == thing.id).values(version=Thing.version + 1).returning(Thing.version),
        execution_options={"synchronize_session": False},
    )
    uuid = uuid or get_job(session, thing)
    session.add(Changed(thing=thing.id, version=version, uuid=uuid))
    session.flush()
    time.sleep(seconds)


def call(session: Session, thing: Thing, seconds: float) -> None:
    """Change a thing in one of the ways in which a transaction, or a part of it, ends."""
    once = partial(change, session, thing, seconds, is_acquired_first=random.random() < 0.5)
    match random.choice(("commit", "commit", "roll back", "nested", "nested and undone", "read first")):
        case "roll back":
            once()
            session.rollback()
        case "nested":
            with session.begin_nested():
                once()
        case "nested and undone":
            nested = session.begin_nested()
            once()
            nested.rollback()
            once()
        case "read first":
            session.scalars(select(Thing)).all()
            once()
        case _:
            once()
    session.commit()


def is_done(database: Database, thing: int, seconds: float) -> bool:
    """Call once; return False if it met another caller, with its locks in the other order: all is rolled back."""
    with database.session() as session:
        try:
            call(session, session.get_one(Thing, thing), seconds)
        except OperationalError as error:
            if interruption_of(error) is not Interruption.DEADLOCK:
                raise
            return False
    return True


def main(url: str, seed: str, count: str) -> None:
    """Change so many things, one after the other, as the other callers do at about the same time."""
    random.seed(seed)
    database = Database(url)
    for thing in range(1, int(count) + 1):
        for seconds in HOLD_SECONDS:
            while not is_done(database, thing, seconds):
                pass
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
